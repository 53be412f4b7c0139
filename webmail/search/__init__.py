"""Search: finding messages by what they say, whom they are of, and what was done with them.

words        text -> terms, in every script
language     what a person types -> a tree          (operators, dates, tokens)
index        which documents have which terms       FTS5 or PostgreSQL
documents    messages -> documents, kept up with what comes and goes
conditions   a tree -> what is asked of the index, and what of the messages
sequences    words that follow one another
finding      the messages that a tree means, newest first
results      what is found, in any order, page by page
facets       by what it can be told apart, counted
remote       what of a tree is asked of mail servers, where texts are not here
"""

from webmail.search.documents import (
    NEW,
    TEXT,
    catch_up,
    due,
    forget,
    has_gone,
    index_anew,
    is_due,
    is_lost,
    is_untidy,
    number_due,
    octets,
    tidy,
)
from webmail.search.finding import Finder, finder
from webmail.search.hits import LOOKED_AT, Hits, Piece, sought
from webmail.search.language import MAX_LENGTH, Query, parse, words_of
from webmail.search.results import Found, Place, Results, tiers

__all__ = [
    "LOOKED_AT", "MAX_LENGTH", "NEW", "TEXT", "Finder", "Found", "Hits", "Piece", "Place", "Query", "Results",
    "catch_up", "due", "finder", "forget", "has_gone", "index_anew", "is_due", "is_lost", "is_untidy", "number_due",
    "octets", "parse", "sought", "tidy", "tiers", "words_of",
]  # fmt: skip
