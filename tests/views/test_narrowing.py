"""What a search can be narrowed by, and how many messages that would be."""

from __future__ import annotations

import re

import pytest

from tests.letters import letter
from tests.views.conftest import Person
from webmail import search


@pytest.fixture
def found(alice: Person) -> Person:
    alice.receive(
        letter("Takst på huset", "Hei", sender="Ingrid Moe <ingrid@example.org>"),
        letter("Takst på hytta", "Hei", sender="Ingrid Moe <ingrid@example.org>"),
        letter("Taket", "Hei", sender="Ola <ola@example.org>"),
        letter("Ferie", "Sol", sender="Ola <ola@example.org>"),
    )
    search.catch_up(alice.account)
    return alice


def row(person: Person, query: str, **more: str) -> str:
    answer = person.client.get(
        "/search/narrowing/", {"q": query, **more}, HTTP_HX_REQUEST="true", HTTP_HX_TARGET="narrow"
    )
    assert answer.status_code == 200
    return answer.content.decode()


def test_it_is_told_how_many_are_from_whom_and_choosing_one_finds_as_many(found: Person) -> None:
    page = row(found, "tak")
    ways = re.findall(r'href="(/search/\?[^"]+)".*?<b>([^<]+)</b><bdi>([^<]+)</bdi>.*?num">(\d+)<', page)
    assert ("from:", "Ingrid Moe", "2") in [way[1:] for way in ways]
    for url, _operator, _value, number in ways:
        there = found.get(url.replace("&amp;", "&")).content.decode()
        assert there.count('class="row') - there.count('class="rows') == int(number), url


def test_the_number_beside_the_results_is_that_of_all(found: Person) -> None:
    assert re.search(r'innerHTML:#found-count">3 conversations<', row(found, "tak"))


def test_what_leaves_nothing_out_is_not_offered(found: Person) -> None:
    assert "Ingrid" not in row(found, "takst ")


def test_all_of_it_stands_on_a_page_without_script(found: Person) -> None:
    page = found.get("/search/narrowing/?q=tak").content.decode()
    assert "<h2>People</h2>" in page
    assert "Ola" in page


def test_nobody_is_told_of_the_mail_of_others(found: Person, bob: Person) -> None:
    assert "Ingrid" not in row(bob, "tak")


def test_nothing_is_told_where_nothing_is_asked(found: Person) -> None:
    assert "chip" not in row(found, "")


def test_the_best_match_is_kept_while_narrowing(found: Person) -> None:
    assert "sort=best" in row(found, "tak", sort="best")
