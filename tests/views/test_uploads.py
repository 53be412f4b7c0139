"""Files come in pieces, and a break costs no more than one of them."""

from __future__ import annotations

import os
from typing import Any

import pytest

from tests.flat import growth
from tests.views.conftest import Person
from webmail import compose, outbox
from webmail.models import Draft, DraftAttachment, Upload, UploadPiece

OCTETS = os.urandom(2_500_000)


@pytest.fixture
def draft(alice: Person) -> Draft:
    return compose.save(compose.new(alice.user, to="ola@example.org", subject="Kart"))


def begin(alice: Person, draft: Draft, size: int = len(OCTETS), name: str = "Kart over øya.png") -> Any:
    return alice.post(f"/drafts/{draft.pk}/uploads/", {"key": "k1", "name": name, "size": str(size)})


def give(alice: Person, draft: Draft, offset: int, octets: bytes, query: str = "") -> Any:
    path = f"/drafts/{draft.pk}/uploads/k1/?offset={offset}{query}"
    return alice.client.post(path, octets, content_type="application/octet-stream")


def test_a_file_comes_in_pieces_and_is_whole(alice: Person, draft: Draft) -> None:
    assert begin(alice, draft).json()["received"] == 0
    for offset in range(0, len(OCTETS), 1_000_000):
        answer = give(alice, draft, offset, OCTETS[offset : offset + 1_000_000])
        assert answer.status_code == 200
    attachment = DraftAttachment.objects.get(pk=answer.json()["attachment"])
    with attachment.file.open() as file:
        assert file.read() == OCTETS
    assert (attachment.name, attachment.type, attachment.size) == ("Kart over øya.png", "image/png", len(OCTETS))
    assert not Upload.objects.exists()
    assert not UploadPiece.objects.exists()


def test_after_a_break_it_goes_on_where_it_stopped(alice: Person, draft: Draft) -> None:
    begin(alice, draft)
    give(alice, draft, 0, OCTETS[:1_000_000])
    assert begin(alice, draft).json()["received"] == 1_000_000
    assert alice.get(f"/drafts/{draft.pk}/uploads/").json()["uploads"][0]["received"] == 1_000_000


def test_a_piece_that_came_before_or_does_not_follow_is_not_taken(alice: Person, draft: Draft) -> None:
    begin(alice, draft)
    give(alice, draft, 0, OCTETS[:1_000_000])
    for offset in (0, 1_500_000):
        answer = give(alice, draft, offset, OCTETS[offset : offset + 1_000_000])
        assert answer.status_code == 409
        assert answer.json()["received"] == 1_000_000
    assert UploadPiece.objects.count() == 1
    assert give(alice, draft, 1_000_000, OCTETS[1_000_000:2_000_000]).status_code == 200
    assert give(alice, draft, 2_000_000, OCTETS[2_000_000:]).json()["attachment"]


def test_more_than_was_said_is_not_taken(alice: Person, draft: Draft) -> None:
    begin(alice, draft, size=10)
    assert give(alice, draft, 0, b"x" * 11).status_code == 409
    assert begin(alice, draft, size=10).json()["received"] == 0


def test_what_would_not_fit_is_refused_before_it_comes(alice: Person, draft: Draft, settings: Any) -> None:
    settings.ATTACHMENT_LIMIT = 3_000_000  # 2.5 MB are 3.4 MB when they are sent
    answer = begin(alice, draft)
    assert answer.status_code == 413
    assert "“Kart over øya.png”" in answer.json()["error"]
    assert not Upload.objects.exists()


def test_what_is_under_way_counts(alice: Person, draft: Draft, settings: Any) -> None:
    settings.ATTACHMENT_LIMIT = 4_000_000
    assert begin(alice, draft).status_code == 200
    more = alice.post(f"/drafts/{draft.pk}/uploads/", {"key": "k2", "name": "b.bin", "size": str(len(OCTETS))})
    assert more.status_code == 413


def test_nothing_is_sent_while_a_file_is_on_its_way(alice: Person, draft: Draft) -> None:
    begin(alice, draft)
    data = {"to": "ola@example.org", "subject": "Kart", "text": "Her", "do": "send", "revision": str(draft.revision)}
    page = alice.post(f"/drafts/{draft.pk}/", data)
    assert page.status_code == 422
    assert "on its way" in page.content.decode()


def test_a_cancelled_one_leaves_nothing(alice: Person, draft: Draft) -> None:
    begin(alice, draft)
    give(alice, draft, 0, OCTETS[:1_000_000])
    file = UploadPiece.objects.get().file
    alice.post(f"/drafts/{draft.pk}/uploads/k1/destruction/")
    assert not Upload.objects.exists()
    assert not file.storage.exists(file.name)


def test_an_empty_file_is_one(alice: Person, draft: Draft) -> None:
    assert begin(alice, draft, size=0).json()["attachment"]


def test_a_picture_for_the_text_is_shown_from_the_draft(alice: Person, draft: Draft) -> None:
    begin(alice, draft, size=100)
    told = give(alice, draft, 0, OCTETS[:100], "&inline=1").json()
    shown = alice.get(told["picture"])
    assert shown.getvalue() == OCTETS[:100]
    shown.close()
    assert shown["Content-Type"] == "image/png"
    assert "sandbox" in shown["Content-Security-Policy"]


def test_what_is_no_picture_does_not_go_into_the_text(alice: Person, draft: Draft) -> None:
    begin(alice, draft, size=100, name="page.html")
    assert "picture" not in give(alice, draft, 0, OCTETS[:100], "&inline=1").json()


def test_a_message_of_100_mb_is_put_together_in_flat_memory(alice: Person, draft: Draft, settings: Any) -> None:
    settings.ATTACHMENT_LIMIT = 200_000_000
    piece = os.urandom(compose.PIECE)
    begin(alice, draft, size=100 * len(piece), name="a.bin")

    def all_pieces() -> None:
        for offset in range(0, 100 * len(piece), len(piece)):
            give(alice, draft, offset, piece)

    _none, more = growth(all_pieces)
    assert more < 20_000_000, more
    submission, more = growth(lambda: outbox.submit(alice.user, draft))
    assert submission.size > 130_000_000
    assert more < 10_000_000, more


def test_a_file_whose_last_answer_was_lost_is_there_once(alice: Person, draft: Draft) -> None:
    begin(alice, draft, size=100)
    arrived = give(alice, draft, 0, OCTETS[:100]).json()
    again = begin(alice, draft, size=100).json()
    assert (again["key"], again["attachment"], again["received"]) == ("k1", arrived["attachment"], 100)
    assert give(alice, draft, 0, OCTETS[:100]).status_code == 404  # and the browser asks as above
    assert DraftAttachment.objects.count() == 1
    alice.post(f"/drafts/{draft.pk}/files/{arrived['attachment']}/destruction/")
    assert begin(alice, draft, size=100).json()["received"] == 0  # taken off and chosen anew


def test_a_picture_whose_last_answer_was_lost_is_still_told_where_it_is(alice: Person, draft: Draft) -> None:
    begin(alice, draft, size=100)
    told = give(alice, draft, 0, OCTETS[:100], "&inline=1").json()
    assert begin(alice, draft, size=100).json()["picture"] == told["picture"]


def test_what_has_begun_and_not_ended_is_removed_without_script(alice: Person, draft: Draft) -> None:
    begin(alice, draft)
    give(alice, draft, 0, OCTETS[:1_000_000])
    file = UploadPiece.objects.get().file
    page = alice.get(f"/drafts/{draft.pk}/").content.decode()
    button = f'name="do" value="forget-{Upload.objects.get().pk}"'
    assert "Kart over øya.png" in page
    assert "1.0 MB of 2.5 MB came" in page
    assert button in page
    form = {"to": draft.to, "subject": "Kart", "text": "Her", "revision": str(draft.revision)}
    after = alice.client.post(
        f"/drafts/{draft.pk}/", form | {"do": f"forget-{Upload.objects.get().pk}"}, follow=True
    ).content.decode()
    assert "Kart over øya.png" not in after
    assert not Upload.objects.exists()
    assert not file.storage.exists(file.name)
