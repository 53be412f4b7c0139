"""Searches that are saved, counted, renamed, removed and brought back; and the last few that were used."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, DjangoCaptureOnCommitCallbacks

from accounts.models import User
from tests.letters import letter
from tests.views.conftest import Person, snapshot
from webmail import events, searches, tasks
from webmail.models import Message, Search


def keep(person: Person, text: str, name: str = "") -> Search:
    person.post("/searches/creation/", {"q": text, "name": name})
    return Search.objects.get(user=person.user, text=text.strip(), removed_at=None)


def count(person: Person) -> dict[str, tuple[int, bool]]:
    """As a worker does."""
    searches.count(User.objects.get(pk=person.user.pk))
    return {one.name: (one.unread, one.more) for one in searches.saved(person.user.pk)}


def sidebar(person: Person, path: str = "/starred/") -> list[str]:
    """What stands in it, a mark before what is current."""
    page = person.get(path).content.decode()
    entries = re.findall(r'<a href="/search/\?q=[^"]*" data-query="[^"]*"([^>]*)>(.*?)</a>', page, re.DOTALL)
    return [
        ("* " if "aria-current" in rest else "") + " ".join(re.sub(r"<[^>]+>", " ", inside).split())
        for rest, inside in entries
    ]


def recent(person: Person) -> list[str]:
    return [one["text"] for one in person.get("/search/completions/?q=").json()["recent"]]


# --- saved ------------------------------------------------------------------------------------------------------------


def test_a_search_is_saved_and_stands_in_the_sidebar_by_name(alice: Person) -> None:
    page = alice.get("/search/?q=takst+from:ingrid").content.decode()
    assert re.search(r'name="name"[^>]* value="takst from:ingrid"', page), "a name is proposed"
    response = alice.post("/searches/creation/", {"q": "takst from:ingrid", "name": " Ærlige  takster "})
    assert response["Location"] == "/search/?q=takst+from%3Aingrid"
    keep(alice, "is:starred", "blåbær")
    keep(alice, "ferie", "Alt om ferie")
    assert sidebar(alice) == ["Alt om ferie", "blåbær", "Ærlige takster"]


def test_without_a_name_a_search_is_called_what_it_searches_for(alice: Person) -> None:
    assert keep(alice, "  takst ", " ").name == "takst"
    assert len(keep(alice, "x" * 300).name) == 100


def test_the_search_that_is_shown_is_marked_and_its_page_has_its_name(alice: Person) -> None:
    keep(alice, "takst", "Takster")
    keep(alice, "ferie", "Ferie")
    assert sidebar(alice, "/search/?q=takst") == ["Ferie", "* Takster"]
    page = alice.get("/search/?q=takst").content.decode()
    assert "<title>Takster · Search · Postkasse</title>" in page
    assert 'dir="auto">Takster</h1>' in page
    assert sidebar(alice, "/search/?q=takst+hus") == ["Ferie", "Takster"]
    assert sidebar(alice, "/?q=takst") == ["Ferie", "Takster"]


def test_saving_the_same_search_again_gives_it_another_name(alice: Person) -> None:
    keep(alice, "takst", "Takster")
    keep(alice, "takst", "Prisantydninger")
    assert sidebar(alice) == ["Prisantydninger"]


def test_what_searches_for_nothing_is_not_saved(alice: Person) -> None:
    for text in ("", "   ", "from:", "()"):
        alice.post("/searches/creation/", {"q": text, "name": "Nothing"})
    assert not Search.objects.exists()


def test_no_more_than_fifty_are_saved_and_the_fifty_first_is_explained(alice: Person) -> None:
    for n in range(searches.MOST_SAVED):
        searches.save(alice.user, f"word{n}")
    first = Search.objects.order_by("pk")[0]
    response = alice.post("/searches/creation/", {"q": "onemore"}, follow=True)
    assert "No more than 50 searches can be saved." in response.content.decode()
    alice.post(f"/searches/{first.pk}/destruction/")
    keep(alice, "onemore")
    response = alice.post(f"/searches/{first.pk}/return/", follow=True)
    assert "No more than 50 searches can be saved." in response.content.decode()
    assert searches.saved(alice.user.pk).count() == User.objects.get(pk=alice.user.pk).saved_searches == 50


def test_a_saved_search_is_renamed(alice: Person) -> None:
    one = keep(alice, "takst", "Takster")
    response = alice.post(f"/searches/{one.pk}/name/", {"name": "Priser", "next": "/search/?q=takst"})
    assert response["Location"] == "/search/?q=takst"
    assert sidebar(alice) == ["Priser"]
    alice.post(f"/searches/{one.pk}/name/", {"name": "  "})
    assert sidebar(alice) == ["Priser"]


def test_a_saved_search_is_removed_and_comes_back_by_undo(alice: Person) -> None:
    one = keep(alice, "takst", "Takster")
    page = alice.post(f"/searches/{one.pk}/destruction/", {"next": "/starred/"}, follow=True).content.decode()
    assert "The saved search “Takster” was removed." in page
    assert sidebar(alice) == []
    undo = re.search(r'action="(/searches/\d+/return/)"', page)
    assert undo
    alice.post(undo[1])
    assert sidebar(alice) == ["Takster"]


def test_what_was_saved_anew_after_its_removal_is_there_once(alice: Person) -> None:
    one = keep(alice, "takst", "Takster")
    alice.post(f"/searches/{one.pk}/destruction/")
    keep(alice, "takst", "Priser")
    alice.post(f"/searches/{one.pk}/return/")
    assert sidebar(alice) == ["Priser"]
    assert User.objects.get(pk=alice.user.pk).saved_searches == 1


def test_what_was_removed_is_gone_for_good_after_a_day(alice: Person) -> None:
    one = keep(alice, "takst")
    searches.remove(one)
    searches.forget_old()
    assert Search.objects.filter(pk=one.pk).exists()
    Search.objects.filter(pk=one.pk).update(removed_at=timezone.now() - timedelta(hours=25))
    searches.forget_old()
    assert not Search.objects.filter(pk=one.pk).exists()


def test_one_page_has_all_that_is_kept(alice: Person) -> None:
    keep(alice, "takst from:<b>", "Takster")
    alice.post("/search/recent/", {"q": "ferie"})
    page = alice.get("/searches/").content.decode()
    assert "takst from:&lt;b&gt;" in page
    assert '<a class="link grow clip" href="/search/?q=ferie" dir="auto">ferie</a>' in page


def test_pages_of_people_who_saved_nothing_do_not_look_for_it(
    alice: Person,
    django_assert_max_num_queries: DjangoAssertNumQueries,
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    alice.get("/starred/")
    with django_assert_max_num_queries(50) as without:
        alice.get("/starred/")
        number = len(without)
        assert not [query for query in without.captured_queries if "webmail_search" in query["sql"]]
    keep(alice, "takst")
    alice.get("/starred/")  # which says that it was saved
    with django_assert_num_queries(number + 1):
        alice.get("/starred/")


# --- counted ----------------------------------------------------------------------------------------------------------


def test_the_unread_messages_that_are_found_are_counted(alice: Person) -> None:
    alice.receive(letter("Takst en"), letter("Takst to"), letter("Ferie"))
    keep(alice, "takst", "Takster")
    keep(alice, "takst or ferie", "Begge")
    assert count(alice) == {"Takster": (2, False), "Begge": (3, False)}
    assert sidebar(alice) == ["Begge 3 3 unread messages", "Takster 2 2 unread messages"]
    Message.objects.filter(subject="Takst to").update(seen=True)
    searches.outdated(alice.user.pk)
    assert count(alice)["Takster"] == (1, False)
    assert 'title="1 unread message"' in alice.get("/starred/").content.decode()


def test_no_more_than_ninety_nine_are_counted(alice: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searches, "MOST_COUNTED", 2)
    alice.receive(*(letter(f"Takst {n}") for n in range(3)))
    keep(alice, "takst", "Takster")
    assert count(alice) == {"Takster": (2, True)}
    assert sidebar(alice) == ["Takster 2+ 2 unread messages or more"]


def test_what_takes_too_long_is_counted_no_further(alice: Person) -> None:
    alice.receive(letter("Takst"))
    number, more = searches.number_unread(alice.user, "takst", patience=0)
    assert more
    assert number <= 1


def test_a_change_of_mail_marks_what_is_to_be_counted_and_the_count_is_announced(
    alice: Person, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    one = keep(alice, "takst", "Takster")
    count(alice)
    with django_capture_on_commit_callbacks(execute=True):
        alice.receive(letter("Takst"))
    one.refresh_from_db()
    assert one.count_due
    before = events.last_id(alice.user.pk)
    with django_capture_on_commit_callbacks(execute=True):
        tasks.count_searches(alice.user.pk)
    one.refresh_from_db()
    assert (one.unread, one.count_due) == (1, False)
    assert events.last_id(alice.user.pk) != before
    searches.outdated(alice.user.pk)
    before = events.last_id(alice.user.pk)
    with django_capture_on_commit_callbacks(execute=True):
        tasks.count_searches(alice.user.pk)
    assert events.last_id(alice.user.pk) == before, "nothing changed"


def test_a_search_that_is_being_counted_is_not_counted_by_another_worker(alice: Person) -> None:
    one = keep(alice, "hilsen")
    assert events.claim(f"searches:{alice.user.pk}", 60)
    tasks.count_searches(alice.user.pk)
    one.refresh_from_db()
    assert one.counted_at is None
    events.release(f"searches:{alice.user.pk}")
    tasks.count_searches(alice.user.pk)
    one.refresh_from_db()
    assert one.unread == 1


def test_people_are_told_once_that_something_is_to_be_counted(alice: Person, bob: Person) -> None:
    keep(alice, "takst")
    count(alice)
    assert searches.due() == []
    assert searches.outdated(alice.user.pk)
    assert not searches.outdated(alice.user.pk)
    assert not searches.outdated(bob.user.pk)
    assert searches.due() == [alice.user.pk]


def test_days_that_pass_are_a_reason_to_count_anew(alice: Person) -> None:
    one = keep(alice, "on:today")
    count(alice)
    User.objects.filter(pk=alice.user.pk).update(active_at=timezone.now())
    Search.objects.filter(pk=one.pk).update(counted_at=timezone.now() - timedelta(hours=7))
    assert searches.due() == [alice.user.pk]


def test_what_a_worker_began_to_count_and_never_ended_is_counted_by_another(alice: Person) -> None:
    one = keep(alice, "takst")
    User.objects.filter(pk=alice.user.pk).update(active_at=timezone.now())
    Search.objects.filter(pk=one.pk).update(count_due=False)
    assert searches.due() == [alice.user.pk]


# --- recent -----------------------------------------------------------------------------------------------------------


def test_the_last_ten_that_were_used_are_offered_the_newest_first(alice: Person) -> None:
    for n in range(12):
        alice.post("/search/recent/", {"q": f"{n} ord"})
    alice.post("/search/recent/", {"q": "5 ord"})
    assert recent(alice) == ["5 ord", *(f"{n} ord" for n in (11, 10, 9, 8, 7, 6, 4, 3, 2))]


def test_of_what_is_refined_the_final_search_is_kept(alice: Person) -> None:
    for text in ("ferie", "ta", "tak", "takst", "takst from:ingrid", "takst"):
        alice.post("/search/recent/", {"q": text})
    assert recent(alice) == ["takst", "ferie"]
    Search.objects.filter(user=alice.user).update(used_at=timezone.now() - timedelta(minutes=11))
    alice.post("/search/recent/", {"q": "takstmann"})
    assert recent(alice)[0] == "takstmann"
    assert "takst" in recent(alice)


def test_what_searches_for_nothing_is_not_remembered(alice: Person) -> None:
    for text in ("", " ", "from:", '""', "\0"):
        assert alice.post("/search/recent/", {"q": text}).status_code == 204
    assert recent(alice) == []


def test_recent_searches_are_forgotten_one_by_one_and_all_at_once(alice: Person, bob: Person) -> None:
    bob.post("/search/recent/", {"q": "hans"})
    keep(alice, "takst", "Takster")
    for text in ("en", "to", "tre"):
        alice.post("/search/recent/", {"q": text})
    two = Search.objects.get(text="to")
    alice.post("/search/recent/destruction/", {"id": two.pk})
    assert recent(alice) == ["tre", "en"]
    alice.post("/search/recent/destruction/", {"id": Search.objects.get(text="takst").pk})
    alice.post("/search/recent/destruction/")
    assert recent(alice) == []
    assert sidebar(alice) == ["Takster"]
    assert recent(bob) == ["hans"]


# --- nobody else's ----------------------------------------------------------------------------------------------------


def test_bob_neither_sees_nor_changes_what_alice_searched_for(alice: Person, bob: Person) -> None:
    one = keep(alice, "hemmelig", "Hennes")
    alice.post("/search/recent/", {"q": "hemmelig siste"})
    latest = Search.objects.get(text="hemmelig siste")
    before = snapshot()
    bob.post("/search/recent/destruction/", {"id": latest.pk})
    for path in ("name", "destruction", "return"):
        assert bob.post(f"/searches/{one.pk}/{path}/", {"name": "Hans"}).status_code == 404
        assert alice.post(f"/searches/{latest.pk}/{path}/", {"name": "x"}).status_code == 404, "it has no name"
    assert snapshot() == before
    assert "emmelig" not in bob.get("/searches/").content.decode()
    assert sidebar(bob, "/search/?q=hemmelig") == []
