"""Where a server finds nothing and can look for similar words, it is asked for these, and nobody takes them for the others.

The real server has an index of blocks of four letters: to its mind a word is similar to any text with all of its blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from accounts.models import Account, Keep
from tests.letters import letter
from tests.servers import Dovecot
from tests.views.conftest import Person
from tests.views.test_server_search import ask_all, from_server, subjects
from webmail.models import AskedFolder

_INDEX = """
mail_plugins = fts fts_squat
plugin {
  fts = squat
  fts_squat = partial=4 full=4
}
"""
SIMILAR = 'id="similar"'


@pytest.fixture(scope="module")
def dovecot() -> Iterator[Dovecot]:
    with Dovecot(capabilities="+SEARCH=FUZZY", settings=_INDEX) as running:
        yield running


@pytest.fixture
def dora(new_person: Callable[[str], Person]) -> Person:
    """Keeps headers only. None of her mail has the word "hilsen", which one of her messages has all blocks of."""
    person = new_person("dora")
    Account.objects.filter(pk=person.account.pk).update(keep=Keep.HEADERS)
    person.account.refresh_from_db()
    person.receive(
        letter("Blokker", "Aldri hilse, pilsen, vilsen.", to=person.address, minutes_ago=3),
        letter("Ferie", "Strand.", to=person.address, minutes_ago=2),
    )
    return person


def test_what_is_only_similar_is_said_to_be_no_more(dora: Person) -> None:
    html = ask_all(dora, "hilsen")
    exact, _, similar = html.partition(SIMILAR)
    assert (subjects(exact), subjects(similar)) == ([], ["Blokker"])
    assert "Only similar, from the server" in html
    assert "Nothing was found in Inbox. What is shown from there is only similar to what was searched for." in html
    assert "Nothing found" not in html


def test_what_is_found_as_it_was_meant_is_not_mixed_with_what_is_similar(dora: Person) -> None:
    html = ask_all(dora, "strand")
    assert from_server(html) == ["Ferie"]
    assert "similar" not in html
    dora.receive(letter("Svar", "En hilsen.", to=dora.address), folder="Sent")
    exact, _, similar = ask_all(dora, "hilsen").partition(SIMILAR)
    assert (subjects(exact), subjects(similar)) == (["Svar"], ["Blokker"])


def test_what_is_told_here_and_what_is_excluded_is_never_only_similar(dora: Person) -> None:
    assert subjects(ask_all(dora, "hilsen -strand")) == ["Blokker"]
    assert subjects(ask_all(dora, "hilsen -pilsen")) == []
    assert subjects(ask_all(dora, "hilsen -subject:blokker")) == []
    assert subjects(ask_all(dora, "hilsen subject:blokka")) == []
    assert not AskedFolder.objects.filter(similar=True, ids=[]).exists()
