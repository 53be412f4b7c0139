"""Words that follow one another, which the index does not know: looked up in the messages."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from django.conf import settings

from webmail.models import MessageBody
from webmail.search.conditions import is_beginning
from webmail.search.documents import fields_of, rows_of
from webmail.search.language import Words
from webmail.search.words import fold, holds, terms, wanted


def holding(node: Words, ids: Collection[int]) -> set[int]:
    """Of these messages, those that have the words one after the other, where they are looked for."""
    sequence = wanted(node.text)
    goes_on = is_beginning(node, sequence[-1])
    found = set()
    if node.field in ("", "body"):
        plain = _plain(sequence, goes_on)
        texts = MessageBody.objects.filter(message_id__in=ids).values_list("message_id", "text")
        for pk, text in texts:
            text = text[: settings.SEARCH_TEXT]
            folded = fold(text)
            if _is_in(folded, plain) if folded.isascii() else holds(terms(text), sequence, goes_on):
                found.add(pk)
    if node.field != "body":
        for row in rows_of(set(ids) - found, texts=False):
            if any(
                holds(terms(text), sequence, goes_on) for field, text in fields_of(row) if node.field in ("", field)
            ):
                found.add(row.pk)
    return found


def _plain(sequence: Sequence[str], goes_on: bool) -> re.Pattern[str]:
    """For a text of plain Latin letters, which need not be taken apart. It begins with the word: so the text is run through
    much faster than with a look at what is before each of its letters."""
    return re.compile("[^a-z0-9]+".join(map(re.escape, sequence)) + ("" if goes_on else "(?![a-z0-9])"))


def _is_in(folded: str, plain: re.Pattern[str]) -> bool:
    return any(match.start() == 0 or not folded[match.start() - 1].isalnum() for match in plain.finditer(folded))
