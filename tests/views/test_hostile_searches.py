"""Whatever is typed into the search box, the page answers: with what is found, or with what is wrong."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.letters import letter
from tests.views.conftest import Person
from webmail import search
from webmail.models import Document, Message
from webmail.search import results
from webmail.search.operators import OPERATORS

EVERY_OPERATOR = " ".join(operator.examples[language] for operator in OPERATORS for language in (0, 1))
HOSTILE = {
    "long": "takst " * 1_700,
    "one long word": "a" * 10_000,
    "nested": "(" * 5_000 + "takst" + ")" * 5_000,
    "not not": "-(" * 500 + "takst" + ")" * 500,
    "alternatives": " or ".join(f"w{n}" for n in range(2_000)),
    "each operator": EVERY_OPERATOR,
    "each operator, empty": " ".join(f"{operator.name}:" for operator in OPERATORS),
    "wildcards": "* ** *a a*b* % _ ? takst*" + " a*" * 500,
    "one letter": "a*",
    "quotes": '"takst """ "\' \' « » „“ "',
    "an open quote": '"takst',
    "NUL": "tak\0st \0 from:\0",
    "controls": "".join(map(chr, range(1, 32))) + " takst \u202e\u2066 \ufeff",
    "half of a pair": "takst \\ud800 \ud800",
    "FTS syntax": 'NEAR(a b, 5) ^takst {terms}: a AND NOT b OR (c) terms:takst rank:1 "a" + "b" *',
    "tsquery": "a & b | !c <-> d:*A 'x' \\ ) ( &",
    "SQL": "'; DROP TABLE webmail_message; -- ' OR '1'='1 UNION SELECT 1 %s {} %(x)s",
    "JSON": '[{"a": null}] ]] {{ }} {% url %}',
    "markup": "<script>alert(1)</script> \"><img src=x onerror=alert(1)> from:<b>",
    "own marks": ":every :a1 s:takst :attachment :10b",
    "numbers": "thread:9999999999999999999 thread:-1 larger:99999999999999999999G after:9999-99-99 on:0000 older_than:999999y",
}  # fmt: skip


@pytest.fixture
def searching(alice: Person) -> Person:
    alice.receive(letter("Takst", "Takst på huset."), letter("Ferie", "Sol."))
    search.catch_up(alice.account)
    return alice


@pytest.mark.parametrize("typed", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("sort", ["", "best"])
def test_it_is_answered(searching: Person, typed: str, sort: str) -> None:
    typed = typed.encode("utf-8", "replace").decode()
    for path in ("/search/", "/search/narrowing/"):
        with CaptureQueriesContext(connection) as queries:
            answer = searching.client.get(path, {"q": typed, "sort": sort, "after": typed[:100]})
        assert answer.status_code == 200
        assert len(queries) < 100
        page = answer.content.decode()
        assert "<script>alert" not in page
    assert searching.message("Takst").subject == "Takst"


@pytest.mark.parametrize("typed", HOSTILE.values(), ids=HOSTILE)
def test_an_action_on_all_of_it_never_reaches_more_than_is_found(searching: Person, typed: str) -> None:
    typed = typed.encode("utf-8", "replace").decode()
    found = searching.client.get("/search/", {"q": typed})
    ids = {row.pk for day in found.context["days"] for row in day.rows}
    searching.post("/messages/keywords/?set=star", {"all": "search", "q": typed, "next": "/"})
    starred = set(searching.account.messages.filter(flagged=True).values_list("pk", flat=True))
    assert starred == ids


def test_a_message_is_opened_from_any_search(searching: Person) -> None:
    message = searching.message("Takst")
    for typed in HOSTILE.values():
        typed = typed.encode("utf-8", "replace").decode()[:3000]
        answer = searching.client.get(f"/messages/{message.pk}/", {"in": "search", "q": typed, "sort": "best"})
        assert answer.status_code == 200


@pytest.mark.parametrize("sort", ["", "best"])
def test_what_takes_long_goes_on_page_by_page_to_the_oldest_mail_there_is(
    searching: Person, monkeypatch: pytest.MonkeyPatch, sort: str
) -> None:
    monkeypatch.setattr(results, "PATIENCE", -1.0)
    searching.user.time_zone = "America/New_York"
    searching.user.save()
    Message.objects.filter(subject="Takst").update(received_at="1969-12-31T23:59Z")
    Message.objects.filter(subject="Ferie").update(received_at="1970-01-01T00:00Z")
    search.index_anew()
    Document.objects.all().delete()
    search.catch_up(searching.account)
    address, found = f"/search/?q=sol+or+takst&sort={sort}", []
    for _page in range(20):
        answer = searching.client.get(address)
        assert answer.status_code == 200
        found += [row.pk for day in answer.context["days"] for row in day.rows]
        address = answer.context["older"]
        if not address:
            break
    assert not address
    assert sorted(found) == sorted(searching.message(subject).pk for subject in ("Takst", "Ferie"))
