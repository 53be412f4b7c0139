"""The operators of search: what they are called in English and Norwegian, what they take, and an example of each.

This is at once what the parser knows, what is completed while somebody types and what the help page shows. Both
languages always count, whatever language the page has; ``Ø`` may be written ``o`` or ``oe``, ``Å`` ``a`` or ``aa``.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeVar

from django.utils.functional import Promise
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

Kind = Literal[
    "person", "text", "filename", "has", "is", "folder", "account", "date", "span", "size", "list", "keyword", "thread"
]
Value = TypeVar("Value")

_PLAIN = (str.maketrans({"ø": "o", "å": "a", "æ": "ae"}), str.maketrans({"ø": "oe", "å": "aa", "æ": "ae"}))


@dataclass(frozen=True, slots=True)
class Choice:
    """One value out of a fixed list; the first spelling of each language is the one that is shown."""

    value: str
    english: tuple[str, ...]
    norwegian: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Operator:
    """``name`` is what it is called in code; ``examples`` are whole queries, English first."""

    name: str
    kind: Kind
    english: tuple[str, ...]
    norwegian: tuple[str, ...]
    takes: Promise
    meaning: Promise
    examples: tuple[str, str]
    choices: tuple[Choice, ...] = ()

    def shown(self, norwegian: bool) -> str:
        return (self.norwegian if norwegian else self.english)[0]


@dataclass(frozen=True, slots=True)
class Example:
    """A query somebody may click on, in both languages, and what it finds."""

    english: str
    norwegian: str
    meaning: Promise

    def shown(self, norwegian: bool) -> str:
        return self.norwegian if norwegian else self.english


def in_norwegian(language: str | None = None) -> bool:
    """Whether the page (or the language that is given) wants Norwegian names."""
    return (language or get_language() or "").split("-")[0] in ("nb", "nn", "no")


def same(text: str) -> str:
    """What two spellings of one name have in common: no case, one kind of space."""
    folded = unicodedata.normalize("NFC", text.casefold())
    return " ".join(folded.replace("_", " ").replace("-", " ").split())


def spellings(name: str) -> set[str]:
    """All that counts as this name, for a keyboard without the letters of Norwegian too."""
    name = same(name)
    return {name, *(name.translate(plain) for plain in _PLAIN)}


def by_spelling(names: Mapping[str, Value]) -> dict[str, Value]:
    """The same, found by each spelling; a name that was there first keeps what another would take from it."""
    found = {same(name): value for name, value in names.items()}
    for name, value in names.items():
        for spelling in spellings(name):
            found.setdefault(spelling, value)
    return found


def _names(things: Iterable[Choice]) -> dict[str, str]:
    return by_spelling({name: thing.value for thing in things for name in (*thing.english, *thing.norwegian)})


HAS = (
    Choice("attachment", ("attachment", "attachments", "file", "files"), ("vedlegg", "fil", "filer")),
    Choice("picture", ("picture", "pictures", "image", "images", "photo"), ("bilde", "bilder", "foto")),
    Choice("pdf", ("pdf",), ("pdf",)),
    Choice("invitation", ("invitation", "invite", "invitations"), ("invitasjon", "innkalling", "invitasjoner")),
    Choice("link", ("link", "links"), ("lenke", "lenker", "lenkje")),
)
IS = (
    Choice("unread", ("unread", "unseen"), ("ulest", "uleste", "ulesen")),
    Choice("read", ("read", "seen"), ("lest", "leste", "lesen")),
    Choice("starred", ("starred", "flagged"), ("stjernet", "stjernemerket", "merket")),
    Choice("answered", ("answered", "replied"), ("besvart", "svart")),
    Choice("forwarded", ("forwarded",), ("videresendt",)),
    Choice("draft", ("draft", "drafts"), ("utkast", "kladd")),
    Choice("muted", ("muted",), ("dempet", "dempa")),
)
ROLES = (
    Choice("inbox", ("inbox",), ("innboks", "innboksen")),
    Choice("drafts", ("drafts", "draft"), ("kladder", "utkast", "kladd")),
    Choice("sent", ("sent",), ("sendt", "sendte")),
    Choice("archive", ("archive",), ("arkiv", "arkivet")),
    Choice("junk", ("junk", "spam"), ("søppelpost", "søppel")),
    Choice("trash", ("trash", "bin"), ("papirkurv", "papirkurven")),
    Choice("anywhere", ("anywhere", "all"), ("overalt", "alt", "alle")),
)

_PERSON = _("a name, an address or a part of one")
_WORDS = _("words, or a phrase in quotes")
_DATE = _("a date, a month, a year, a weekday, or today and yesterday")
_SPAN = _("a number of days, weeks, months or years, such as 3d, 2w, 6m or 1y")
_SIZE = _("a size such as 500k, 5M or 2GB")

OPERATORS = (
    Operator("from", "person", ("from",), ("fra",), _PERSON, _("Who wrote it."), ("from:kari", "fra:kari")),
    Operator(
        "to",
        "person",
        ("to",),
        ("til",),
        _PERSON,
        _("Whom it was sent to."),
        ("to:ola@example.org", "til:ola@example.org"),
    ),
    Operator("cc", "person", ("cc",), ("kopi",), _PERSON, _("Who has a copy."), ("cc:kari", "kopi:kari")),
    Operator(
        *("subject", "text", ("subject",), ("emne",), _WORDS, _("What is in the subject.")),
        ("subject:(summer party)", "emne:(sommer fest)"),
    ),
    Operator(
        "body", "text", ("body",), ("tekst",), _WORDS, _("What is in the text."), ("body:agenda", "tekst:saksliste")
    ),
    Operator(
        *("filename", "filename", ("filename",), ("fil", "filnavn"), _("the name of a file or a part of it")),
        *(_("What a file that comes with it is called."), ("filename:report.pdf", "fil:rapport.pdf")),
    ),
    Operator(
        *("has", "has", ("has",), ("har",), _("attachment, picture, pdf, invitation or link")),
        *(_("What comes with it."), ("has:picture", "har:bilde"), HAS),
    ),
    Operator(
        *("is", "is", ("is",), ("er",), _("unread, read, starred, answered, forwarded, draft or muted")),
        *(_("What has become of it."), ("is:unread", "er:ulest"), IS),
    ),
    Operator(
        *("in", "folder", ("in",), ("i",), _("the name of a folder, or anywhere")),
        *(_("The folder it is in; “anywhere” takes Junk and Trash in."), ("in:sent", "i:sendt"), ROLES),
    ),
    Operator(
        *("account", "account", ("account",), ("konto",), _("the address of one of your accounts or a part of it")),
        *(_("The account it came to."), ("account:example.org", "konto:example.org")),
    ),
    Operator(
        *("before", "date", ("before",), ("før",), _DATE),
        *(_("It came before that day, month or year began."), ("before:2026-11-24", "før:24.11.2026")),
    ),
    Operator(
        *("after", "date", ("after",), ("etter",), _DATE),
        *(_("It came on that day or later."), ("after:yesterday", "etter:igår")),
    ),
    Operator(
        *("on", "date", ("on",), ("den",), _DATE),
        *(_("It came on that day, or in that month or year."), ("on:november", "den:november")),
    ),
    Operator(
        *("older_than", "span", ("older_than",), ("eldre_enn",), _SPAN),
        *(_("It came longer ago than that."), ("older_than:1y", "eldre_enn:1år")),
    ),
    Operator(
        *("newer_than", "span", ("newer_than",), ("nyere_enn",), _SPAN),
        *(_("It came within that time."), ("newer_than:2w", "nyere_enn:2u")),
    ),
    Operator(
        *("larger", "size", ("larger",), ("større",), _SIZE),
        *(_("It is larger than that, its files counted."), ("larger:5M", "større:5M")),
    ),
    Operator(
        *("smaller", "size", ("smaller",), ("mindre",), _SIZE),
        *(_("It is smaller than that, its files counted."), ("smaller:100k", "mindre:100k")),
    ),
    Operator(
        *("list", "list", ("list",), ("liste",), _("the name or the address of a mailing list")),
        *(_("The mailing list it came by."), ("list:announce.example.org", "liste:nytt.example.org")),
    ),
    Operator(
        *("keyword", "keyword", ("keyword",), ("nøkkelord",), _("a keyword as the mail server has it")),
        *(_("A keyword that it bears."), ("keyword:work", "nøkkelord:jobb")),
    ),
    Operator(
        *("thread", "thread", ("thread",), ("samtale",), _("the number of a conversation")),
        *(_("The conversation it belongs to."), ("thread:42", "samtale:42")),
    ),
)

EXAMPLES = (
    Example("annual report", "årsrapport styret", _("Both words, wherever they are.")),
    Example('"annual report"', '"innkalling til møte"', _("These words in this order.")),
    Example("fish*", "fisk*", _("Words that begin like that.")),
    Example("invoice -draft", "faktura -utkast", _("The first word, without the second.")),
    Example("invoice or receipt", "faktura eller kvittering", _("One of the two; OR and | mean the same.")),
    Example(
        "from:(kari or ola) trip",
        "fra:(kari eller ola) tur",
        _("From one of the two; “or” joins only what stands next to it."),
    ),
    Example(
        "report not (draft or old)", "rapport ikke (utkast eller gammel)", _("None of what is in the parentheses.")
    ),
    Example(
        'from:"Kari Nordmann" has:pdf after:2026', 'fra:"Kari Nordmann" har:pdf etter:2026', _("All of it at once.")
    ),
    Example(
        "is:unread older_than:1m -in:archive",
        "er:ulest eldre_enn:1mnd -i:arkiv",
        _("Unread for more than a month, and not in the archive."),
    ),
)

# What is typed before a colon. "for" is too common a word of both languages to stand for "før".
BY_NAME = by_spelling({name: operator for operator in OPERATORS for name in (*operator.english, *operator.norwegian)})
del BY_NAME["for"]
CHOICES = {operator.name: _names(operator.choices) for operator in OPERATORS if operator.choices}


def choices_of(operator: Operator, norwegian: bool) -> list[str]:
    """What the page calls the values it takes."""
    return [(choice.norwegian if norwegian else choice.english)[0] for choice in operator.choices]


def spelt(name: str, value: str, language: str | None = None) -> str:
    """An operator and one of its choices, or any value that is fit to stand there, in the language of the page."""
    norwegian = in_norwegian(language)
    operator = next(one for one in OPERATORS if one.name == name)
    choice = next((one for one in operator.choices if one.value == value), None)
    if choice:
        value = (choice.norwegian if norwegian else choice.english)[0]
    return f"{operator.shown(norwegian)}:{value}"
