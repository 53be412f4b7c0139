"""Files of messages: listed, shown, saved, from any place in them, in flat memory; and warned about."""

from __future__ import annotations

import base64
import binascii
import io
import logging
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.conf import LazySettings
from PIL import Image

from accounts.discovery import Candidate, ServerURL
from accounts.models import User
from accounts.sign_in import save_account
from tests.flat import growth
from tests.letters import letter
from tests.second_client import second_client
from tests.servers import PASSWORD, Dovecot
from tests.views.conftest import Person
from webmail import bodies, compose, files, inspection, mime, sync, tasks, thumbnails
from webmail.models import Draft, DraftAttachment, FileFinding, Message
from webmail.protocols.errors import Unreachable

EXE = b"MZ\x90\0\x03\0\0\0" + b"\0" * 3000
NOISE = os.urandom(300_000)


def picture(width: int = 600, height: int = 400, format: str = "PNG", **options: Any) -> bytes:
    out = io.BytesIO()
    Image.linear_gradient("L").resize((width, height)).convert("RGB").save(out, format, **options)
    return out.getvalue()


def content(response: Any) -> bytes:
    return b"".join(response.streaming_content) if response.streaming else response.content


@pytest.fixture
def pop(db: None, redis_url: str, settings: LazySettings, dovecot: Dovecot) -> Callable[[str], Any]:
    """An account of the same person kind, whose mail is in blobs of ours."""

    def make(name: str) -> Any:
        url = f"pop3://localhost:{dovecot.pop3_port}"
        settings.MAIL_DOMAINS = {"pop.test": {"incoming": url}}
        address = f"{name}-{os.getpid()}@pop.test"
        candidate = Candidate(ServerURL.parse(url), None, address, True, "table")
        return save_account(User.objects.create_user(address), address, PASSWORD, candidate)

    return make


def urls(person: Person, subject: str) -> dict[str, str]:
    message = person.message(subject)
    root = message.body_part
    assert root
    return {part.name: f"/messages/{message.pk}/parts/{part.part_id}/" for part in root.walk() if part.name}


# --- the list ---------------------------------------------------------------------------------------------------------


def test_the_list_tells_what_each_file_is_and_how_large(alice: Person) -> None:
    alice.receive(
        letter(
            "Listed",
            files={
                "plan.pdf": ("application/pdf", b"%PDF-1.4 " + NOISE),
                "a.exe": ("a/b", EXE),
                "photo.jpg": ("image/jpeg", EXE),
            },
        )
    )
    page = alice.get(f"/messages/{alice.message('Listed').pk}/").content.decode()
    assert 'data-t="pdf"' in page
    assert "300 kB" in page  # decoded
    assert "Program" in page
    assert "Not what it says" in page
    assert "Download all (zip, 306 kB)" in page


def test_a_file_that_pretends_is_known_before_anybody_opens_the_message(alice: Person) -> None:
    alice.receive(letter("Pretends", files={"photo.jpg": ("image/jpeg", EXE)}))
    finding = FileFinding.objects.get(message=alice.message("Pretends"))
    assert finding.dangers == ["disguised", "program"]
    assert finding.size == len(EXE)


# --- what is dangerous ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["setup.exe", "photo.jpg", "invoice.pdf.js", "page.html"])
def test_a_dangerous_file_is_saved_only_after_a_page_has_said_why(alice: Person, name: str) -> None:
    octets = b"<html><script>alert(1)</script>" if name == "page.html" else EXE
    alice.receive(letter("Danger", files={name: ("application/octet-stream", octets)}))
    url = urls(alice, "Danger")[name]
    answer = alice.get(url)
    assert answer.status_code == 302
    page = alice.get(answer["Location"]).content.decode()
    assert "This file can be dangerous" in page
    assert "<script>alert" not in page
    assert f'action="{url}"' in page
    saved = alice.post(url)
    assert saved["Content-Disposition"].startswith("attachment;")
    assert content(saved) == octets


def test_a_name_that_reads_backwards_is_shown_as_what_it_is(alice: Person) -> None:
    alice.receive(letter("Backwards", files={"holiday\u202egpj.exe": ("image/jpeg", EXE)}))
    message = alice.message("Backwards")
    page = alice.get(f"/messages/{message.pk}/").content.decode()
    assert "\u202e" not in page
    assert "Program" in page


def test_a_zip_with_something_dangerous_in_it_is_asked_about_first(alice: Person) -> None:
    alice.receive(letter("Mixed", files={"a.exe": ("a/b", EXE), "b.txt": ("text/plain", b"harmless\n")}))
    url = f"/messages/{alice.message('Mixed').pk}/files/"
    page = alice.get(url).content.decode()
    assert "1 of these files can be dangerous" in page
    assert "a.exe" in page
    (rest,) = set(re.findall(r'name="part" value="([\d.]+)"><button', page))
    with zipfile.ZipFile(io.BytesIO(content(alice.post(url, {"part": rest})))) as found:
        assert found.namelist() == ["b.txt"]
    with zipfile.ZipFile(io.BytesIO(content(alice.post(url, {"anyway": "1"})))) as found:
        assert found.read("a.exe") == EXE


# --- the page that shows one ------------------------------------------------------------------------------------------


def test_a_file_is_shown_by_what_it_is(alice: Person) -> None:
    inner = letter("Within", "The inner text.\n", html="<p onclick=x>The inner <b>text</b></p>")
    shown = {
        "a.png": ("image/png", picture(), '<img src="/messages/'),
        "b.pdf": ("application/pdf", b"%PDF-1.4\n", '<iframe class="stage"'),
        "c.txt": ("text/plain", "Blåbær & <b>".encode("latin-1"), "Blåbær &amp; &lt;b&gt;"),
        "d.mp4": ("video/mp4", b"\0\0\0\x18ftypisom" + NOISE, "<video src="),
        "e.mp3": ("audio/mpeg", b"ID3\x04" + NOISE, "<audio src="),
        "f.bin": ("application/octet-stream", NOISE, "It cannot be shown here"),
        "g.eml": ("application/octet-stream", inner, "The inner text."),
        "h.json": ("application/json", b'{"a": "<script>"}', "{&quot;a&quot;: &quot;&lt;script&gt;&quot;}"),
        "i.jpg": ("image/jpeg", b"Not found", "Its content is of another type"),
    }
    alice.receive(letter("Shown", files={name: (kind, octets) for name, (kind, octets, _words) in shown.items()}))
    for name, url in urls(alice, "Shown").items():
        page = alice.get(f"{url}preview/").content.decode()
        assert shown[name][2] in page, name
        assert "onclick=x" not in page
        assert name == "a.png" or 'rel="prev"' in page
        assert name == "i.jpg" or 'rel="next"' in page


def test_a_message_within_a_message_is_shown_as_text(alice: Person) -> None:
    inner = letter("Inner subject", "Inner text.\n", files={"deep.pdf": ("application/pdf", b"%PDF-1.4\n")})
    raw = (
        b"From: a@example.org\r\nTo: b@example.org\r\nSubject: Outer\r\nDate: Tue, 24 Nov 2026 08:00:00 +0000\r\n"
        b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\nSee below.\r\n--x\r\n"
        b"Content-Type: message/rfc822\r\nContent-Disposition: attachment\r\n\r\n" + inner + b"\r\n--x--\r\n"
    )
    alice.receive(raw)
    message = alice.message("Outer")
    page = alice.get(f"/messages/{message.pk}/parts/2/preview/").content.decode()
    for words in ("Inner subject", "Inner text.", "deep.pdf", "ola@example.org"):
        assert words in page


def test_a_long_text_is_shown_from_its_beginning_and_says_so(alice: Person) -> None:
    alice.receive(letter("Long", files={"long.log": ("text/plain", b"A line of it\n" * 100_000)}))
    page = alice.get(f"{urls(alice, 'Long')['long.log']}preview/").content.decode()
    assert "This is the beginning." in page
    assert len(page) < 1_100_000


# --- places in it -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["base64", "7bit", "quoted-printable", "base64 in odd lines"])
def test_any_part_of_a_file_can_be_had(alice: Person, encoding: str) -> None:
    octets = NOISE if encoding.startswith("base64") else b"".join(b"Line %d = x\r\n" % n for n in range(9000))
    text = base64.encodebytes(octets).replace(b"\n", b"\r\n") if encoding.startswith("base64") else octets
    if encoding == "quoted-printable":
        text = octets.replace(b"=", b"=3D")
    if encoding == "base64 in odd lines":
        text = text.replace(b"\r\n", b"", 40).replace(b"\r\n", b"\r\n\r\n", 3)
    alice.receive(
        b"From: a@example.org\r\nSubject: Ranges\r\nDate: Tue, 24 Nov 2026 08:00:00 +0000\r\nMIME-Version: 1.0\r\n"
        b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\nText.\r\n--x\r\nContent-Type: application/x-data\r\n"
        b"Content-Disposition: attachment; filename=a.bin\r\nContent-Transfer-Encoding: "
        + encoding.partition(" ")[0].encode() + b"\r\n\r\n" + text + b"\r\n--x--\r\n"
    )  # fmt: skip
    url = urls(alice, "Ranges")["a.bin"]
    whole = alice.get(url)
    assert whole.status_code == 200
    octets = content(whole)
    for asked, expected in [
        ("bytes=0-99", octets[:100]), ("bytes=70000-70999", octets[70000:71000]), ("bytes=-7", octets[-7:]),
        (f"bytes={len(octets) - 3}-", octets[-3:]), ("bytes=5-5", octets[5:6]),
    ]:  # fmt: skip
        answer = alice.get(url, headers={"Range": asked})
        assert (answer.status_code, content(answer)) == (206, expected), asked
        assert answer["Content-Range"].endswith(f"/{len(octets)}")
        assert answer["Content-Length"] == str(len(expected))
    none = alice.get(url, headers={"Range": f"bytes={len(octets)}-"})
    assert (none.status_code, none["Content-Range"]) == (416, f"bytes */{len(octets)}")
    assert alice.get(url, headers={"If-None-Match": whole["ETag"]}).status_code == 304
    head = alice.client.head(url)
    assert (head.status_code, head.content) == (200, b"")


def test_a_file_that_stands_in_a_text_is_one_like_any_other(alice: Person) -> None:
    octets = b"<html><script>alert(1)</script>" * 200
    lines = [binascii.b2a_uu(octets[at : at + 45]) for at in range(0, len(octets), 45)]
    text = "Here it is.\n\nbegin 644 page.html\n" + b"".join(lines).decode() + "`\nend\n"
    alice.receive(letter("Within", text))
    message = alice.message("Within")
    bodies.body_of(message)
    message.refresh_from_db()
    assert message.body_part
    (part_id,) = [part.part_id for part in message.body_part.walk() if part.name == "page.html"]
    url = f"/messages/{message.pk}/parts/{part_id}/"
    assert "~" in part_id
    assert alice.get(url)["Location"] == f"{url}preview/"
    assert "&lt;script&gt;" in alice.get(f"{url}preview/").content.decode()
    assert content(alice.post(url)) == octets
    with zipfile.ZipFile(io.BytesIO(content(alice.post(f"/messages/{message.pk}/files/", {"anyway": "1"})))) as found:
        assert found.read("page.html") == octets


def test_a_place_in_a_file_is_asked_for_and_not_all_before_it(alice: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    alice.receive(letter("Far", files={"a.bin": ("application/octet-stream", NOISE * 4)}))
    url = urls(alice, "Far")["a.bin"]
    asked: list[tuple[int, int | None]] = []
    octets_of = bodies.octets_of

    def seen(message: Message, part_id: str, store: Any, limit: int | None = None, start: int = 0) -> Iterator[bytes]:
        if store is not None:
            asked.append((start, limit))
        return octets_of(message, part_id, store, limit, start)

    monkeypatch.setattr(bodies, "octets_of", seen)
    answer = alice.get(url, headers={"Range": "bytes=1000000-1000099"})
    assert content(answer) == (NOISE * 4)[1_000_000:1_000_100]
    ((start, limit),) = asked
    assert start > 1_300_000
    assert limit is not None
    assert limit < 400


@pytest.mark.parametrize("line", [1000, 15_000])
def test_base64_that_turns_out_irregular_is_read_from_its_beginning(alice: Person, line: int) -> None:
    """At once if nothing of the answer has left, else the next time."""
    octets = NOISE * 4
    text = base64.encodebytes(octets).replace(b"\n", b"\r\n")
    at = 78 * line
    text = text[: at - 2] + text[at : at + 1] + b"\r\n" + text[at + 1 :]
    alice.receive(
        b"From: a@example.org\r\nSubject: Odd\r\nDate: Tue, 24 Nov 2026 08:00:00 +0000\r\nMIME-Version: 1.0\r\n"
        b"Content-Type: application/x-data; name=a.bin\r\nContent-Disposition: attachment; filename=a.bin\r\n"
        b"Content-Transfer-Encoding: base64\r\n\r\n" + text
    )
    url = urls(alice, "Odd")["a.bin"]
    assert FileFinding.objects.get().size == len(octets)
    answer = alice.get(url)
    if line == 15_000:
        with pytest.raises(files.Irregular):
            content(answer)
        answer = alice.get(url)
    assert content(answer) == octets
    assert content(alice.get(url, headers={"Range": "bytes=1000000-1000009"})) == octets[1_000_000:1_000_010]


# --- several at once --------------------------------------------------------------------------------------------------


def test_all_files_or_those_that_were_ticked_come_as_a_zip(alice: Person) -> None:
    alice.receive(
        letter(
            "Zipped",
            files={
                "a.png": ("image/png", picture()),
                "b.txt": ("text/plain", b"Words. " * 9000 + b"\n"),
                "c.bin": ("a/b", NOISE),
            },
        )
    )
    url = f"/messages/{alice.message('Zipped').pk}/files/"
    answer = alice.get(url)
    assert answer["Content-Disposition"].startswith('attachment; filename="Zipped.zip"')
    with zipfile.ZipFile(io.BytesIO(content(answer))) as found:
        assert found.testzip() is None
        assert (found.read("a.png"), found.read("c.bin")) == (picture(), NOISE)
        assert found.getinfo("a.png").compress_type == zipfile.ZIP_STORED
        assert found.getinfo("b.txt").compress_size < 2000
    part = urls(alice, "Zipped")["b.txt"].split("/")[-2]
    for ticked in (alice.post(url, {"do": "zip", "part": part}), alice.get(f"{url}?part={part}")):
        with zipfile.ZipFile(io.BytesIO(content(ticked))) as found:
            assert found.namelist() == ["b.txt"]
    assert alice.get(f"{url}?part=99").status_code == 404


def test_a_zip_that_breaks_off_does_not_look_whole(
    alice: Person, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    alice.receive(letter("Broken", files={"a.bin": ("a/b", NOISE), "b.bin": ("a/b", NOISE)}))
    octets_of = bodies.octets_of

    def breaking(message: Message, part_id: str, *rest: Any) -> Iterator[bytes]:
        if part_id == "3":
            yield next(octets_of(message, part_id, rest[0], 4096, rest[2]))
            raise Unreachable("the line broke")
        yield from octets_of(message, part_id, *rest)

    monkeypatch.setattr(bodies, "octets_of", breaking)
    got: list[bytes] = []
    with caplog.at_level(logging.WARNING), pytest.raises(Unreachable):
        got.extend(alice.get(f"/messages/{alice.message('Broken').pk}/files/").streaming_content)
    assert len(b"".join(got)) > len(NOISE)
    assert "broke off" in caplog.text
    with pytest.raises(zipfile.BadZipFile):
        zipfile.ZipFile(io.BytesIO(b"".join(got)))


# --- in a new message -------------------------------------------------------------------------------------------------


def test_files_are_taken_into_a_new_message(alice: Person) -> None:
    alice.receive(letter("Source", files={"a.bin": ("a/b", NOISE), "b.txt": ("text/plain", b"Words\n")}))
    url = f"/messages/{alice.message('Source').pk}/files/"
    part = urls(alice, "Source")["a.bin"].split("/")[-2]
    answer = alice.post(url, {"do": "draft", "part": part})
    draft = Draft.objects.get()
    assert answer["Location"] == f"/drafts/{draft.pk}/"
    assert "a.bin" in alice.get(answer["Location"]).content.decode()
    tasks.bring_files(draft.pk)
    attachment = DraftAttachment.objects.get()
    assert attachment.size == len(NOISE)
    with attachment.file.open("rb") as file:
        assert file.read() == NOISE
    draft.refresh_from_db()
    assert not draft.awaits_attachments
    out = io.BytesIO()
    draft.to = "someone@example.org"
    compose.write(draft, out)
    assert b'filename="a.bin"' in out.getvalue() or b"filename=a.bin" in out.getvalue()


def test_what_was_not_brought_yet_comes_when_the_message_is_sent(alice: Person) -> None:
    alice.receive(letter("Source", files={"a.bin": ("a/b", NOISE), "b.txt": ("text/plain", b"Words\n")}))
    alice.post(f"/messages/{alice.message('Source').pk}/files/", {"do": "draft"})
    draft = Draft.objects.get()
    gone = DraftAttachment.objects.get(name="b.txt")
    fields = {"to": "someone@example.org", "subject": "S", "text": "T", "revision": draft.revision}
    assert alice.post(f"/drafts/{draft.pk}/", fields | {"do": f"detach-{gone.pk}"}).status_code == 303
    assert [(row.name, row.file.size) for row in DraftAttachment.objects.all()] == [("a.bin", len(NOISE))]


def test_files_that_are_too_large_for_a_message_are_not_begun_with(alice: Person, settings: LazySettings) -> None:
    settings.ATTACHMENT_LIMIT = 100_000
    alice.receive(letter("Source", files={"a.bin": ("a/b", NOISE)}))
    message = alice.message("Source")
    answer = alice.post(f"/messages/{message.pk}/files/", {"do": "draft", "next": f"/messages/{message.pk}/"})
    assert not Draft.objects.exists()
    assert "makes the message larger" in alice.get(answer["Location"]).content.decode()


# --- thumbnails -------------------------------------------------------------------------------------------------------


def test_a_picture_has_a_thumbnail_before_anybody_asks(alice: Person) -> None:
    alice.receive(letter("Pictures", files={"a.jpg": ("image/jpeg", picture(format="JPEG"))}))
    page = alice.get(f"/messages/{alice.message('Pictures').pk}/").content.decode()
    url = urls(alice, "Pictures")["a.jpg"] + "thumbnail/"
    assert f'src="{url}" width="120" height="80"' in page
    answer = alice.get(url)
    assert answer["Content-Type"] == "image/webp"
    with Image.open(io.BytesIO(answer.content)) as small:
        assert small.size == (240, 160)
        assert "exif" not in small.info
    assert alice.get(url, headers={"If-None-Match": answer["ETag"]}).status_code == 304


def test_a_thumbnail_that_is_not_there_is_made_by_a_worker(alice: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    alice.receive(letter("Later", files={"a.jpg": ("image/jpeg", picture(format="JPEG"))}))
    message = alice.message("Later")
    FileFinding.objects.all().delete()
    queued: list[int] = []
    monkeypatch.setattr(tasks, "nudge_thumbnails", queued.append)
    url = urls(alice, "Later")["a.jpg"] + "thumbnail/"
    assert f'data-thumbnail="{url}"' in alice.get(f"/messages/{message.pk}/").content.decode()
    assert queued == [message.pk]
    assert alice.get(url).status_code == 404
    tasks.make_thumbnails(message.pk)
    assert alice.get(url).status_code == 200


def test_a_picture_whose_base64_is_odd_does_not_end_the_sync(alice: Person) -> None:
    text = base64.encodebytes(picture(900, 600, "PNG", compress_level=0)).replace(b"\n", b"\r\n")
    at = 78 * 1000
    text = text[: at - 2] + text[at : at + 1] + b"\r\n" + text[at + 1 :]
    alice.receive(
        b"From: a@example.org\r\nSubject: Odd picture\r\nDate: Tue, 24 Nov 2026 08:00:00 +0000\r\nMIME-Version: 1.0\r\n"
        b"Content-Type: image/png; name=a.png\r\nContent-Transfer-Encoding: base64\r\n\r\n" + text,
        letter("After it"),
    )
    alice.message("After it")
    tasks.make_thumbnails(alice.message("Odd picture").pk)  # it is too large to be drawn before
    assert alice.get(urls(alice, "Odd picture")["a.png"] + "thumbnail/").status_code == 200


def test_a_large_picture_is_drawn_when_somebody_opens_the_message(alice: Person) -> None:
    alice.receive(letter("Large", files={"a.bmp": ("image/bmp", picture(1000, 700, "BMP"))}))
    assert FileFinding.objects.get().width == 0
    tasks.make_thumbnails(alice.message("Large").pk)
    assert FileFinding.objects.get().width > 0


def test_a_picture_is_turned_as_its_camera_says() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held upright
    _octets, size = thumbnails.draw(io.BytesIO(picture(600, 400, "JPEG", exif=exif)))
    assert size == (53, 80)


@pytest.mark.parametrize(
    "octets", [picture()[:900], picture()[:40], b"\x89PNG\r\n\x1a\n" + b"\0" * 500, b"<svg/>", b"%!PS-Adobe", b""]
)
def test_what_cannot_be_drawn_is_refused(octets: bytes) -> None:
    with pytest.raises(thumbnails.Undrawable):
        thumbnails.draw(io.BytesIO(octets))


def test_a_picture_of_too_many_pixels_is_refused_and_remembered(alice: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thumbnails, "MOST_PIXELS", 100_000)
    alice.receive(letter("Bomb", files={"a.png": ("image/png", picture(600, 400))}))
    assert FileFinding.objects.get().refused
    monkeypatch.setattr(thumbnails, "draw", lambda source: pytest.fail("drawn again"))
    tasks.make_thumbnails(alice.message("Bomb").pk)


def test_the_web_process_never_loads_what_decodes_pictures() -> None:
    code = "import django; django.setup(); import webmail.urls, sys; sys.exit('PIL.Image' in sys.modules)"
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "webmail.settings"}
    assert subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == 0


# --- flat memory ------------------------------------------------------------------------------------------------------

LARGE = 100_000_000


def large_letter(to: str) -> bytes:
    first = base64.b64encode(b"PK\3\4\x14\0\0\0" + os.urandom(49)) + b"\r\n"  # which is not compressed once more
    line = base64.b64encode(os.urandom(57)) + b"\r\n"
    count = LARGE // 57 - 1
    return (
        b"From: a@example.org\r\nTo: " + to.encode() + b"\r\nSubject: Large\r\nDate: Tue, 24 Nov 2026 08:00:00 +0000\r\n"
        b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\nText.\r\n--x\r\n"
        b"Content-Type: application/zip\r\nContent-Disposition: attachment; filename=a.zip\r\n"
        b"Content-Transfer-Encoding: base64\r\n\r\n" + first + line * count + b"--x--\r\n"
    )  # fmt: skip


def total(chunks: Any) -> int:
    return sum(map(len, chunks))


@pytest.mark.parametrize("kind", ["imap", "pop3"])
def test_a_file_of_100_mb_passes_in_flat_memory(
    kind: str, alice: Person, pop: Callable[[str], Any], dovecot: Dovecot, settings: LazySettings
) -> None:
    settings.ATTACHMENT_LIMIT = 2 * LARGE
    if kind == "imap":
        alice.receive(large_letter(alice.address))
        account = alice.account
    else:
        account = pop("large")
        with second_client(dovecot, account.address) as server:
            server.append(large_letter(account.address))
        sync.sync_account(account)
        alice.client.force_login(account.user)
    message = Message.objects.get(account=account, subject="Large")
    size = LARGE // 57 * 57
    got, more = growth(lambda: total(alice.get(f"/messages/{message.pk}/parts/2/").streaming_content))
    assert (got, more < 20_000_000) == (size, True), more
    got, more = growth(lambda: total(alice.get(f"/messages/{message.pk}/files/").streaming_content))
    assert (got > size, more < 20_000_000) == (True, True), more
    alice.post(f"/messages/{message.pk}/files/", {"do": "draft"})
    _got, more = growth(lambda: tasks.bring_files(Draft.objects.get().pk) or 0)
    assert DraftAttachment.objects.get().file.size == size
    assert more < 20_000_000, more


def test_findings_are_made_once_and_forgotten_in_the_end(alice: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    alice.receive(letter("Once", files={"a.bin": ("a/b", NOISE)}))
    message = alice.message("Once")
    file = files.find(message, "2")
    monkeypatch.setattr(files, "measure", lambda file: pytest.fail("looked at again"))
    assert inspection.inspect(file).type == mime.kinds.type_of(NOISE)
    inspection.forget_old()
    assert FileFinding.objects.count() == 1
    FileFinding.objects.update(found_at=message.received_at - inspection.KEPT * 2)
    inspection.forget_old()
    assert not FileFinding.objects.exists()


def test_a_pdf_that_does_something_by_itself_is_shown_nowhere(alice: Person) -> None:
    moves = b"%PDF-1.4\n1 0 obj<</OpenAction<</S/J#61vaScript/JS(app.alert(1))>>>>endobj\n"
    files = {"a.pdf": ("application/pdf", moves), "b.pdf": ("application/pdf", b"%PDF-1.4\n")}
    alice.receive(letter("Moving", files=files))
    found = urls(alice, "Moving")
    page = alice.get(f"{found['a.pdf']}preview/").content.decode()
    assert "<iframe" not in page
    assert "may do something by itself" in page
    for headers in ({}, {"range": "bytes=0-20"}):
        asked = alice.get(f"{found['a.pdf']}?shown=1", headers=headers)
        assert asked["Content-Disposition"].startswith("attachment")
        asked.close()
    shown = alice.get(f"{found['b.pdf']}?shown=1")
    assert "Content-Disposition" not in shown
    assert content(shown) == b"%PDF-1.4\n"
