"""Where not everything is here the mail servers are asked too, and the page says what was looked at and what was not."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from html import unescape
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.conf import LazySettings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from accounts.models import Account, Keep, User
from tests.letters import letter
from tests.line import Line
from tests.protocols.scripted import END, Scripted, Step
from tests.protocols.test_odd_servers import greeting
from tests.servers import free_port
from tests.views.conftest import Person, snapshot
from webmail import connections, events, search, server_search, sync
from webmail.models import AskedFolder, Mailbox, Message, MessageBody, ServerSearch


@pytest.fixture
def dora(new_person: Callable[[str], Person]) -> Person:
    """Keeps headers only; one message has in its text what its subject does not say."""
    person = new_person("dora")
    Account.objects.filter(pk=person.account.pk).update(keep=Keep.HEADERS)
    person.account.refresh_from_db()
    person.receive(
        letter("Hilsen", "Vi ses ved gesimsen.", to=person.address, minutes_ago=3),
        letter("Gesims", "Ingenting.", to=person.address, minutes_ago=2),
        letter("Ferie", "Strand.", to=person.address, minutes_ago=1),
    )
    assert not MessageBody.objects.exists()
    return person


def page(person: Person, query: str, **more: str) -> str:
    return unescape(person.client.get("/search/", {"q": query, **more}).content.decode())


def begin(person: Person, query: str) -> ServerSearch:
    answer = person.post("/search/servers/", {"q": query})
    assert (answer.status_code, answer.url.partition("?")[0]) == (303, "/search/")
    return ServerSearch.objects.filter(user=person.user, text=query).latest("pk")


def ask_all(person: Person, query: str) -> str:
    """What a worker would do; the page then."""
    found = begin(person, query)
    for account in Account.objects.filter(user=person.user).select_related("user"):
        while server_search.ask_next(found.pk, account):
            pass
    return page(person, query)


def subjects(html: str) -> list[str]:
    return [re.sub("<[^>]*>", "", one) for one in re.findall(r'<span class="s">(.*?)</span>', html)]


def from_server(html: str) -> list[str]:
    return subjects(html.partition('class="from-servers"')[2])


# --- what is said -----------------------------------------------------------------------------------------------------


def test_where_everything_is_here_no_server_is_spoken_of(alice: Person) -> None:
    html = page(alice, "gesims")
    assert "Nothing found<" in html
    assert "server" not in html.partition('id="list"')[2]
    alice.post("/search/servers/", {"q": "gesims"})
    assert not ServerSearch.objects.exists()


def test_nobody_says_that_nothing_was_found_before_the_server_was_asked(dora: Person) -> None:
    html = page(dora, "strand")
    assert "Nothing found so far" in html
    assert "Search on the server" in html
    html = ask_all(dora, "mangler")
    assert "Nothing found<" in html
    assert "Also asked on the server: Inbox." in html


def test_what_the_server_finds_stands_under_its_name(dora: Person) -> None:
    html = ask_all(dora, "gesims")
    assert subjects(html) == ["Gesims", "Hilsen"]
    assert from_server(html) == ["Hilsen"]
    assert "Nothing found" not in html


def test_while_a_server_is_asked_the_page_says_which_folder_and_how_to_stop(dora: Person) -> None:
    found = begin(dora, "strand")
    html = page(dora, "strand")
    assert "Searching on the server: Inbox…" in html
    assert "0 of 1 folder" in html
    assert f'formaction="/search/servers/{found.pk}/end/"' in html
    assert "Nothing found so far" in html


def test_what_is_opened_meanwhile_is_not_shown_twice(dora: Person) -> None:
    ask_all(dora, "gesimsen")
    dora.get(f"/messages/{dora.message('Hilsen').pk}/body/")
    while search.catch_up(dora.account):
        pass
    html = page(dora, "gesimsen")
    assert subjects(html) == ["Hilsen"]
    assert from_server(html) == []


def test_what_is_told_here_counts_too(dora: Person) -> None:
    Message.objects.filter(subject="Hilsen").update(flagged=True)
    dora.receive(letter("Annet", "Vi ses ved gesimsen.", to=dora.address), folder="Archive")
    assert from_server(ask_all(dora, "vi gesimsen -subject:annet")) == ["Hilsen"]
    assert from_server(ask_all(dora, "gesimsen -hilsen")) == ["Annet"]
    assert from_server(ask_all(dora, "gesimsen in:archive")) == ["Annet"]
    with dora.on_server() as client:
        client.add_flag("Hilsen", "\\Flagged")
    assert from_server(ask_all(dora, "gesimsen is:starred")) == ["Hilsen"]


def test_the_order_that_was_chosen_stays_while_servers_are_asked(dora: Person) -> None:
    html = page(dora, "gesims", sort="best")
    assert 'name="sort" value="best"' in html.partition('id="asking"')[2]
    answer = dora.post("/search/servers/", {"q": "gesims", "sort": "best"})
    assert answer.url == "/search/?q=gesims&sort=best"
    found = ServerSearch.objects.get()
    assert dora.post(f"/search/servers/{found.pk}/end/", {"sort": "best"}).url == "/search/?q=gesims&sort=best"
    assert dora.post(f"/search/servers/{found.pk}/end/", {"sort": "odd"}).url == "/search/?q=gesims"


def test_what_no_database_takes_is_asked_without_it(dora: Person) -> None:
    assert dora.client.get("/search/", {"q": "gesims\0en \ufffe"}).status_code == 200
    assert dora.post("/search/servers/", {"q": "gesims\0en"}).status_code == 303
    assert "Searching on the server" in page(dora, "gesims\0en")


def test_days_are_those_of_the_person_whoever_asks(dora: Person) -> None:
    dora.user.time_zone = "Pacific/Kiritimati"  # 14 hours before Greenwich
    dora.user.save()
    midnight = datetime(2026, 11, 24, tzinfo=ZoneInfo("Pacific/Kiritimati"))
    dora.receive(letter("Dagen", "Gesimsen er god.", to=dora.address))
    Message.objects.filter(subject="Dagen").update(received_at=midnight + timedelta(minutes=1))
    Message.objects.filter(subject="Hilsen").update(received_at=midnight - timedelta(minutes=1))
    assert from_server(ask_all(dora, "gesimsen after:24.11.2026")) == ["Dagen"]


def test_of_very_many_answers_a_page_looks_at_so_many_and_says_that_there_are_more(
    dora: Person, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    ask_all(dora, "gesimsen")
    asked = AskedFolder.objects.get()
    template = Mailbox.objects.get(pk=asked.mailbox_id)
    boxes = Mailbox.objects.bulk_create(
        Mailbox(account=template.account, name=f"Box {n}", remote_name=f"Box {n}") for n in range(400)
    )
    for box in boxes:
        ids = asked.ids + [10**9 + box.pk * 100 + n for n in range(99)]
        AskedFolder.objects.create(search=asked.search, mailbox=box, position=box.pk, state="asked", ids=ids)
    with django_assert_max_num_queries(80):
        html = page(dora, "gesimsen")
    assert from_server(html) == ["Hilsen"]
    assert "more than 1 message" in html


def test_junk_is_asked_only_if_it_is_named(dora: Person) -> None:
    dora.receive(letter("Reklame", "Billig gesims.", to=dora.address), folder="Junk")
    assert from_server(ask_all(dora, "gesims")) == ["Hilsen"]
    assert from_server(ask_all(dora, "gesims in:junk")) == ["Reklame"]


def test_recent_texts_are_here_and_older_ones_are_not(alice: Person) -> None:
    assert not server_search.is_needed(alice.user, _tree("gesims"), _boxes(alice))
    Account.objects.filter(pk=alice.account.pk).update(keep_days=1)
    Message.objects.update(received_at="2020-01-01T12:00Z")
    assert server_search.is_needed(alice.user, _tree("gesims"), _boxes(alice))
    assert not server_search.is_needed(alice.user, _tree("gesims after:2021-01-01"), _boxes(alice))
    assert not server_search.is_needed(alice.user, _tree("subject:gesims"), _boxes(alice))


def _tree(text: str) -> search.language.Node:  # type: ignore[name-defined]
    tree = search.parse(text, timezone.localdate()).tree
    assert tree
    return tree


def _boxes(person: Person) -> list[Mailbox]:
    return list(Mailbox.objects.filter(account__user=person.user).select_related("account"))


@pytest.mark.parametrize("query", ["gesims", "gesims in:inbox", "gesims before:2020-01-01", "subject:gesims"])
def test_many_folders_are_no_more_queries_than_few(dora: Person, query: str) -> None:
    assert _queries(dora, query, 3) == _queries(dora, query, 30)


def _queries(person: Person, query: str, number: int) -> int:
    """That it takes to see which of so many folders are to be asked about."""
    template = person.mailbox("inbox")
    more = range(Mailbox.objects.filter(account=person.account).count(), number)
    for box in Mailbox.objects.bulk_create(
        Mailbox(account=person.account, name=f"Box {n}", remote_name=f"Box {n}", complete=True) for n in more
    ):
        Message.objects.create(account=person.account, mailbox=box, subject="x", received_at=timezone.now())
    boxes, user = _boxes(person), User.objects.get(pk=person.user.pk)
    with CaptureQueriesContext(connection) as taken:
        needed = server_search.is_needed(user, _tree(query), boxes)
    assert needed is (query in ("gesims", "gesims in:inbox"))
    assert (len(boxes), template.complete) == (max(number, len(boxes)), True)
    return len(taken)


def test_a_folder_that_is_called_as_a_role_is_found_beside_that_of_the_role(dora: Person) -> None:
    with dora.on_server() as client:
        client.create("Spam")
    dora.receive(letter("Reklame", "Billig gesims.", to=dora.address), folder="Junk")
    dora.receive(letter("Eget", "Dyr gesims.", to=dora.address), folder="Spam")
    assert sorted(subjects(page(dora, "in:spam"))) == ["Eget", "Reklame"]
    assert sorted(from_server(ask_all(dora, "gesims in:spam"))) == ["Eget", "Reklame"]
    assert subjects(page(dora, "in:junk")) == ["Reklame"]
    assert from_server(ask_all(dora, "gesims in:junk")) == ["Reklame"]
    assert sorted(from_server(ask_all(dora, "gesims in:all"))) == ["Eget", "Hilsen", "Reklame"]
    assert from_server(ask_all(dora, "gesims -in:spam")) == ["Hilsen"]


def test_of_very_much_that_is_found_the_newest_is_looked_at_whatever_came_into_the_folder_last(
    dora: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_search, "LOOKED_AT", 1)
    dora.receive(letter("Flyttet hit", "Gammel er gesimsen.", to=dora.address, minutes_ago=10**6))
    html = ask_all(dora, "gesimsen")
    assert from_server(html) == ["Hilsen"]
    assert "more than 1 message" in html


# --- mail that is not here at all ---------------------------------------------------------------------------------------


def test_mail_of_a_folder_still_being_fetched_is_brought_and_becomes_like_any_other(alice: Person) -> None:
    with alice.on_server() as client:
        client.append(letter("Takst", "Med gesims.", to=alice.address, minutes_ago=9))
        client.append(letter("Nytt", "Uten.", to=alice.address, minutes_ago=9))
    Mailbox.objects.filter(account=alice.account, role="inbox").update(complete=False)
    assert from_server(ask_all(alice, "gesims")) == ["Takst"]
    html = ask_all(alice, "subject:nytt")
    assert (subjects(html), from_server(html)) == (["Nytt"], [])
    sync.sync_account(alice.account)
    assert sorted(Message.objects.values_list("subject", flat=True)) == ["Hemmelig hilsen", "Nytt", "Takst"]
    inbox = alice.mailbox("inbox")
    assert (inbox.complete, inbox.total) == (True, 3)


# --- whose it is ----------------------------------------------------------------------------------------------------------


def test_nobody_sees_or_stops_the_search_of_another(dora: Person, bob: Person, charlie: Client) -> None:
    ask_all(dora, "gesims")
    found = begin(dora, "strand")
    Account.objects.filter(pk=bob.account.pk).update(keep=Keep.HEADERS)
    bob.receive(letter("Av Bob", "Noe.", to=bob.address))
    bob.account.refresh_from_db()
    assert "Hilsen" not in page(bob, "gesims")
    assert from_server(ask_all(bob, "gesims")) == []
    before = snapshot()
    assert bob.post(f"/search/servers/{found.pk}/end/").status_code == 404
    for path in ("/search/servers/", f"/search/servers/{found.pk}/end/"):
        assert charlie.post(path, {"q": "gesims"}).url.startswith("/sign-in/")
    assert snapshot() == before


def test_looking_changes_nothing(dora: Person) -> None:
    begin(dora, "gesims")
    before = snapshot()
    page(dora, "gesims")
    page(dora, "strand")
    assert dora.get("/search/servers/").status_code == 405
    assert snapshot() == before


# --- ending -----------------------------------------------------------------------------------------------------------


def test_stopping_keeps_what_has_come_and_says_what_was_not_asked(dora: Person) -> None:
    dora.receive(letter("Svar", "Gesimsen er malt.", to=dora.address), folder="Sent")
    found = begin(dora, "gesimsen")
    assert server_search.ask_next(found.pk, dora.account)
    dora.post(f"/search/servers/{found.pk}/end/")
    assert not server_search.ask_next(found.pk, dora.account)
    html = page(dora, "gesimsen")
    assert from_server(html) == ["Hilsen"]
    assert "The search on the server was stopped. Not asked: Sent." in html
    assert sorted(from_server(ask_all(dora, "gesimsen"))) == ["Hilsen", "Svar"]
    assert ServerSearch.objects.count() == 1


def test_another_search_ends_the_one_before(dora: Person) -> None:
    first = begin(dora, "gesimsen")
    begin(dora, "strand")
    assert not server_search.ask_next(first.pk, dora.account)
    assert "The search on the server was stopped." in page(dora, "gesimsen")


def test_nobody_begins_too_often(dora: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_search, "A_MINUTE", 2)
    begin(dora, "en gang")
    begin(dora, "to ganger")
    answer = dora.post("/search/servers/", {"q": "tre ganger"})
    assert ServerSearch.objects.count() == 2
    html = unescape(dora.get(answer.url).content.decode())
    assert "Wait a moment before you ask again." in html
    assert "load delay:1s" not in html


def test_mail_that_has_come_since_is_asked_for_too(dora: Person) -> None:
    ask_all(dora, "mangler")
    assert "Nothing found<" in page(dora, "mangler")
    dora.receive(letter("Nytt", "Noe mangler.", to=dora.address))
    ServerSearch.objects.update(began_at=timezone.now() - timedelta(minutes=2))
    Message.objects.filter(subject="Nytt").update(received_at=timezone.now() - timedelta(minutes=1))
    assert "Nothing found so far" in page(dora, "mangler")
    assert from_server(ask_all(dora, "mangler")) == ["Nytt"]


def test_old_searches_are_forgotten(dora: Person) -> None:
    ask_all(dora, "strand")
    server_search.forget_old()
    assert ServerSearch.objects.count() == 1
    ServerSearch.objects.update(began_at=timezone.now() - timedelta(days=1))
    assert "Search on the server" in page(dora, "strand")
    server_search.forget_old()
    assert not AskedFolder.objects.exists()


def test_what_a_dead_worker_left_is_taken_up_again(dora: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    dora.receive(letter("Svar", "Gesimsen er malt.", to=dora.address), folder="Sent")
    found = begin(dora, "gesimsen")
    AskedFolder.objects.filter(mailbox__role="inbox").update(state="asking")
    assert server_search.left() == []
    monkeypatch.setattr(server_search, "LOST", -server_search.LOST)
    assert server_search.left() == [(found.pk, dora.account.pk)]
    while server_search.ask_next(found.pk, dora.account):
        pass
    html = page(dora, "gesimsen")
    assert from_server(html) == ["Svar"]
    assert "Not asked: Inbox, because the search was interrupted." in html


def test_each_folder_that_was_asked_is_told_to_open_pages(
    dora: Person, django_capture_on_commit_callbacks: Any
) -> None:
    before = events.last_id(dora.user.pk)
    with django_capture_on_commit_callbacks(execute=True):
        begin(dora, "gesimsen")
    begun = events.last_id(dora.user.pk)
    with django_capture_on_commit_callbacks(execute=True):
        server_search.ask_next(ServerSearch.objects.get().pk, dora.account)
    assert len({before, begun, events.last_id(dora.user.pk)}) == 3


# --- servers that are away, slow or odd -------------------------------------------------------------------------------


@pytest.fixture
def at(dora: Person, settings: LazySettings) -> Iterator[Callable[[int], None]]:
    """From now on dora's server is at this port."""

    def move(port: int) -> None:
        connections.close_all(dora.account.pk)
        settings.MAIL_DOMAINS = {
            "imap.test": {**settings.MAIL_DOMAINS["imap.test"], "incoming": f"imap://localhost:{port}"}
        }
        Account.objects.filter(pk=dora.account.pk).update(incoming=f"imap://localhost:{port}")
        dora.account.refresh_from_db()

    yield move
    connections.close_all(dora.account.pk)


def selecting() -> list[Step]:
    return ["SELECT", b"* 3 EXISTS\r\n* OK [UIDVALIDITY VALIDITY] ok\r\nTAG OK [READ-WRITE] done\r\n"]


@pytest.fixture
def scripted(dora: Person, at: Callable[[int], None]) -> Iterator[Callable[..., Scripted]]:
    """dora's server says this in each connection, in a mailbox that is the one she knows."""
    running: list[Scripted] = []
    validity = Mailbox.objects.get(account=dora.account, role="inbox").state

    def play(*transcripts: list[Step | list[Step]]) -> Scripted:
        number = re.search(r"\d{5,}", validity)
        assert number
        flat = [
            [
                step.replace(b"VALIDITY VALIDITY", b"VALIDITY " + number[0].encode())
                if isinstance(step, bytes)
                else step
                for step in itertools.chain.from_iterable(one if isinstance(one, list) else [one] for one in some)
            ]
            for some in transcripts
        ]
        script = Scripted(*flat).__enter__()
        running.append(script)
        at(script.server().port)
        return script

    yield play
    connections.close_all(dora.account.pk)
    for script in running:
        script.__exit__(None, None, None)


def test_a_server_that_is_away_is_named_as_such(dora: Person, at: Callable[[int], None]) -> None:
    at(free_port())
    html = ask_all(dora, "strand")
    assert "Not asked: Inbox, because the server cannot be reached." in html
    assert "Nothing found so far" in html
    assert "Ask again" in html


def test_a_paused_account_is_not_asked(dora: Person) -> None:
    Account.objects.filter(pk=dora.account.pk).update(paused=True)
    assert "Not asked: Inbox, because the account is paused." in ask_all(dora, "strand")


def test_a_server_that_hangs_up_is_asked_again_when_the_person_says_so(dora: Person, at: Callable[[int], None]) -> None:
    with Line(dora.dovecot.imap_port, cut_after=600) as line:
        at(line.port)
        assert "Not asked: Inbox, because the server cannot be reached." in ask_all(dora, "strand")
        line.mend()
        assert from_server(ask_all(dora, "strand")) == ["Ferie"]


def test_a_server_that_never_answers_is_left_in_the_end(
    dora: Person, scripted: Callable[..., Scripted], monkeypatch: pytest.MonkeyPatch
) -> None:
    for role in ("sent", "archive"):
        dora.receive(letter(role, "Strand.", to=dora.address), folder=role.capitalize())
    monkeypatch.setattr(server_search, "PATIENCE", 0.2)
    hanging = [
        greeting(),
        "SELECT",
        b"* 3 EXISTS\r\nTAG OK done\r\n",
        "SEARCH",
        b"* OK Searched 10% of the mailbox\r\n",
    ]
    scripted(hanging, hanging)
    html = ask_all(dora, "strand")
    assert "Not asked: Inbox, Sent, because the server has not answered in time." in html
    assert "Not asked: Archive, because the server is too slow today." in html


@pytest.mark.parametrize(
    "refusing",
    [
        [b"TAG NO [BADCHARSET (US-ASCII)] no\r\n", selecting(), "SEARCH TEXT .strand.", b"* SEARCH 3\r\nTAG OK\r\n"],
        [b"TAG NO BODY is not for you\r\n", selecting(), "SEARCH TEXT .strand.", b"* SEARCH 3\r\nTAG OK\r\n"],
        [b"TAG BAD what\r\n"],
    ],
)
def test_what_a_server_refuses_is_asked_more_plainly(
    dora: Person, scripted: Callable[..., Scripted], refusing: list[Step | list[Step]]
) -> None:
    again = [greeting(), selecting(), "SEARCH TEXT .strand.", b"* SEARCH 3\r\nTAG OK\r\n"]
    scripted([greeting(), selecting(), "SEARCH .*NOT BODY", *refusing], again)
    assert from_server(ask_all(dora, "strand -betalt")) == ["Ferie"]


def searching(keys: str, *uids: int) -> list[Step]:
    return [*selecting(), f"UID SEARCH {keys}.$", b"* SEARCH %s\r\nTAG OK\r\n" % " ".join(map(str, uids)).encode()]


def test_what_is_only_similar_is_said_to_be_no_more(dora: Person, scripted: Callable[..., Scripted]) -> None:
    exact, similar = searching('TEXT "strnd"'), searching('FUZZY TEXT "strnd"', 1, 3)
    scripted([greeting(b"SEARCH=FUZZY"), exact, similar])
    html = ask_all(dora, "strnd")
    before, _, after = html.partition('id="similar"')
    assert (subjects(before), subjects(after)) == ([], ["Ferie", "Hilsen"])
    assert "Only similar" in html
    assert "Nothing was found in Inbox. What is shown from there is only similar to what was searched for." in html
    assert "Nothing found" not in html


def test_what_is_similar_in_one_folder_is_not_mixed_with_what_is_meant_in_another(
    dora: Person, scripted: Callable[..., Scripted]
) -> None:
    dora.receive(letter("Svar", "Strnd er feil.", to=dora.address), folder="Sent")
    of_sent: list[Step] = [
        "SELECT",
        b"* 1 EXISTS\r\nTAG OK\r\n",
        'UID SEARCH TEXT "strnd"',
        b"* SEARCH 1\r\nTAG OK\r\n",
    ]
    scripted(
        [greeting(b"SEARCH=FUZZY"), searching('TEXT "strnd"'), searching('FUZZY TEXT "strnd"', 3), *of_sent],
    )
    html = ask_all(dora, "strnd")
    before, _, after = html.partition('id="similar"')
    assert (subjects(before), subjects(after)) == (["Svar"], ["Ferie"])
    assert "Nothing was found in Inbox." in html


def test_what_is_told_here_and_what_is_excluded_is_never_only_similar(
    dora: Person, scripted: Callable[..., Scripted]
) -> None:
    rest = 'NOT BODY "betalt"'
    exact, similar = searching(f'TEXT "strnd" {rest}'), searching(f'FUZZY TEXT "strnd" {rest}', 1, 3)
    scripted([greeting(b"SEARCH=FUZZY"), exact, similar])
    assert from_server(ask_all(dora, "strnd -betalt -subject:hilsen")) == ["Ferie"]


def test_what_is_similar_and_not_meant_for_other_reasons_is_not_spoken_of(
    dora: Person, scripted: Callable[..., Scripted]
) -> None:
    scripted([greeting(b"SEARCH=FUZZY"), searching('TEXT "strnd" .*'), searching('FUZZY TEXT "strnd" .*', 1)])
    html = ask_all(dora, "strnd subject:ferie")
    assert "Nothing found<" in html
    assert "similar" not in html


@pytest.mark.parametrize("no", [b"TAG NO not like that\r\n", b"TAG BAD FUZZY?\r\n", END, b"* OK Searched 10%\r\n"])
def test_a_server_that_does_not_look_for_similar_words_after_all_has_found_nothing(
    dora: Person, scripted: Callable[..., Scripted], no: Step, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_search, "LESS_PATIENCE", 0.2)
    asked: list[Step] = [*selecting(), 'UID SEARCH FUZZY TEXT "strnd"', no]
    scripted([greeting(b"SEARCH=FUZZY"), searching('TEXT "strnd"'), asked])
    html = ask_all(dora, "strnd")
    assert "Nothing found<" in html
    assert "Also asked on the server: Inbox." in html
    assert "Not asked" not in html
    assert "similar" not in html


@pytest.mark.parametrize(
    ("query", "offered", "asked"),
    [
        ("strand", b"SEARCH=FUZZY", searching('TEXT "strand"', 3)),
        ("has:link", b"SEARCH=FUZZY", searching('BODY "http"')),
        ("strnd", b"SEARCH=FUZZY X-GM-EXT-1", searching("X-GM-RAW .*")),
        ("strnd", b"", searching('TEXT "strnd"')),
    ],
)
def test_nobody_asks_for_similar_words_without_need(
    dora: Person, scripted: Callable[..., Scripted], query: str, offered: bytes, asked: list[Step]
) -> None:
    script = scripted([greeting(offered), asked, END])
    ask_all(dora, query)
    assert [line.split()[1] for line in script.heard].count(b"SELECT") == 1
    assert not script.mismatch


def test_a_server_that_takes_no_letters_beyond_ascii_is_told_as_such(
    dora: Person, scripted: Callable[..., Scripted]
) -> None:
    refused = b"TAG NO [BADCHARSET (US-ASCII)] no such charset\r\n"  # in place of asking for the literal
    scripted(
        [
            greeting(),
            selecting(),
            "SEARCH CHARSET UTF-8 OR TEXT",
            refused,
            selecting(),
            "SEARCH CHARSET UTF-8 TEXT",
            refused,
        ]
    )
    assert "because the server refused to search." in ask_all(dora, "søppel")


def test_what_a_server_says_no_to_is_told_in_its_words(dora: Person, scripted: Callable[..., Scripted]) -> None:
    scripted([greeting(), selecting(), "SEARCH", b"TAG NO <b>Search</b> is off\r\n", END])
    answer = dora.client
    begun = ask_all(dora, "strand")
    assert "Not asked: Inbox, because the server refused to search." in begun
    assert "&lt;b&gt;Search&lt;/b&gt; is off" in answer.get("/search/?q=strand").content.decode()


def test_a_mailbox_that_was_numbered_anew_is_not_taken_for_the_old_one(
    dora: Person, scripted: Callable[..., Scripted]
) -> None:
    scripted([greeting(), "SELECT", b"* 3 EXISTS\r\n* OK [UIDVALIDITY 7] ok\r\nTAG OK done\r\n"])
    html = ask_all(dora, "strand")
    assert "because the server has numbered the messages anew" in html
    assert from_server(html) == []
