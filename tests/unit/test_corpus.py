"""Odd messages, each with what it says beside it: tests/corpus/NAME.eml and NAME.toml, both written by hand.

What is left out of an expectation is at its default: ``sender`` Kari, no attachments, nothing signed or encrypted, no
report. ``text`` is what is shown where no HTML can be, ``html`` where it can, if that is something else; the texts of
several parts stand below each other. What is signed or encrypted was made by OpenSSL with a key that was thrown away.
``attachments`` are name, type and decoded size, ``octets`` what is in them (hex).
"""

from __future__ import annotations

import functools
import io
import json
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import pytest

from tests.servers import PASSWORD, Dovecot
from webmail import mime
from webmail.protocols.base import Credentials, RemoteMessage
from webmail.protocols.imap import IMAPStore

CORPUS = Path(__file__).resolve().parent.parent / "corpus"
NAMES = sorted(path.stem for path in CORPUS.glob("*.eml"))
NOT_TOLD = "not told"  # of attachments, where they are beside the point
KARI = "Kari Nordmann <kari@example.org>"


def expected(name: str) -> dict[str, Any]:
    return tomllib.loads((CORPUS / f"{name}.toml").read_text())


def raw(name: str) -> bytes:
    return (CORPUS / f"{name}.eml").read_bytes()


def test_each_message_has_an_expectation_and_the_other_way_round() -> None:
    assert sorted(path.stem for path in CORPUS.glob("*.toml")) == NAMES
    assert len(NAMES) >= 150


class Source(Protocol):
    """Where a message is read from."""

    @property
    def root(self) -> mime.BodyPart: ...

    def header(self) -> bytes: ...

    def octets_of(self, part_id: str, most: int | None) -> Iterable[bytes]: ...


@dataclass
class Whole:
    """As POP3 leaves it with us: the file, and what we find in it."""

    octets: bytes

    @property
    def root(self) -> mime.BodyPart:
        return mime.parse_structure(io.BytesIO(self.octets))

    def header(self) -> bytes:
        return self.octets

    def octets_of(self, part_id: str, most: int | None) -> Iterable[bytes]:
        return mime.part_octets(io.BytesIO(self.octets), part_id) if part_id else [self.octets]


class Parts(Whole):
    """As IMAP gives it: a tree that was kept, and octets of parts in small pieces, never more than were asked for."""

    @property
    def root(self) -> mime.BodyPart:
        return mime.BodyPart.from_json(json.loads(json.dumps(super().root.to_json())))

    def octets_of(self, part_id: str, most: int | None) -> Iterable[bytes]:
        octets = b"".join(super().octets_of(part_id, most))[:most]
        return (octets[at : at + 77] for at in range(0, len(octets), 77))


@dataclass
class Served:
    """As a real server gives it."""

    store: IMAPStore
    uid: str

    @functools.cached_property
    def message(self) -> RemoteMessage:
        return next(self.store.messages("INBOX", [self.uid]))

    @property
    def root(self) -> mime.BodyPart:
        assert self.message.structure is not None
        return mime.from_structure(self.message.structure)

    def header(self) -> bytes:
        return self.message.header

    def octets_of(self, part_id: str, most: int | None) -> Iterable[bytes]:
        return self.store.body("INBOX", self.uid, part_id or None, (0, most) if most else None)


def shown(texts: Iterable[mime.ReadText]) -> str:
    return "\n".join(read.text for read in texts).rstrip("\n")


def decoded(part: mime.BodyPart, root: mime.BodyPart, whole: Source) -> bytes:
    encoded = (
        mime.octets_within(root, part.part_id, whole.octets_of)
        if "~" in part.part_id
        else whole.octets_of(part.part_id, None)
    )
    return b"".join(mime.decode_transfer(encoded, part.encoding))


def told(protection: mime.Protection) -> str:
    how = "signed" if protection.signed else "encrypted"
    return f"{protection.kind} {how} {protection.part_id} {protection.signature_id}"


@pytest.mark.parametrize("way", [Whole, Parts])
@pytest.mark.parametrize("name", NAMES)
def test_a_message_says_what_it_says(name: str, way: type[Whole]) -> None:
    assert_says(way(raw(name)), expected(name))


def assert_says(whole: Source, wanted: dict[str, Any]) -> None:
    header = mime.parse_header(whole.header(), whole.root.text_charset())
    reading = mime.read_message(whole.root, whole.octets_of)
    sender = mime.format_address(header.from_[0]) if header.from_ else ""
    assert (header.subject, sender) == (wanted["subject"], wanted.get("sender", KARI))
    if "text" in wanted:
        assert shown(reading.text) == wanted["text"].rstrip("\n")
        assert shown(reading.html) == wanted.get("html", wanted["text"]).rstrip("\n")
    assert [told(one) for one in reading.protections] == wanted.get("flags", [])
    assert sorted(reading.inline_images) == wanted.get("pictures", [])
    tree = list(reading.root.walk())
    assert [f"{part.part_id} {part.type}".strip() for part in tree] == wanted.get(
        "structure"
    ) or "structure" not in wanted
    assert len(tree) == wanted.get("structure-size", len(tree))
    if "text" in wanted and wanted.get("attachments") != NOT_TOLD:
        files = [[part.name, part.type, len(decoded(part, reading.root, whole))] for part in reading.attachments]
        assert files == wanted.get("attachments", [])
    for name, octets in wanted.get("octets", {}).items():
        file = next(part for part in reading.attachments if part.name == name)
        assert decoded(file, reading.root, whole).hex() == octets
    assert_report(reading.report, wanted.get("report"))
    facts = mime.facts(reading)
    assert json.loads(json.dumps(facts)) == facts
    assert ("report" in facts, "protection" in facts) == ("report" in wanted, "flags" in wanted)


def assert_report(report: mime.Report | None, wanted: dict[str, Any] | None) -> None:
    if wanted is None or report is None:
        assert report is wanted
        return
    assert type(report).__name__ == wanted.pop("kind")
    values = {**plain(report)}
    if isinstance(report, mime.Complaint):
        values |= {"type": report.kind, "to": list(report.recipients)}
    people = wanted.pop("recipients", None)
    assert {key: values[key] for key in wanted} == wanted
    if people is not None:
        assert isinstance(report, mime.Bounce)
        found = [plain(person) for person in report.recipients]
        assert len(found) == len(people)
        for is_so, should_be in zip(found, people, strict=True):
            assert {key: is_so[key] for key in should_be} == should_be


def plain(value: object) -> dict[str, Any]:
    assert is_dataclass(value)
    pairs = {one.name: getattr(value, one.name) for one in fields(value)}
    return {name: one.isoformat() if isinstance(one, datetime) else one for name, one in pairs.items()}


# What any server makes the same of; where mail is broken, servers differ from each other too.
ON_A_SERVER = [
    "parts-plain-and-file", "parts-text-between-files", "alternative-plain-and-html", "alternative-with-mixed-within",
    "alternative-calendar", "related-with-start", "related-around-alternative", "digest", "nested-message",
    "nested-message-is-all", "boundary-prefix-of-inner", "boundary-inner-never-closed", "boundary-never-closed",
    "boundary-with-odd-characters", "part-header-folded", "part-text-as-attachment", "single-file", "single-picture",
    "name-rfc-2231", "name-rfc-2231-pieces", "name-encoded-word", "name-raw-utf-8", "name-quoted-pairs",
    "name-in-both", "transfer-base64-one-line", "transfer-quoted-printable", "transfer-seven-bit-misspelt", "flowed-delsp",
    "charset-koi8-u", "charset-in-capitals-and-quotes", "smime-signed", "smime-opaque-signed-in-a-stream",
    "pgp-mime-encrypted", "tnef-long-name-and-type", "uuencode-in-text", "bounce-postfix", "bounce-returns-whole-message",
    "receipt-displayed", "complaint-abuse", "charset-no-content-type", "header-lf-only",
]  # fmt: skip

# What a server does not find its way in, and leaves to us.
LEFT_TO_US = [
    "boundary-missing-parameter", "boundary-not-the-declared-one", "boundary-none-at-all", "subject-raw-in-turkish",
    "boundary-immediately-header-less", "boundary-same-inside", "charset-one-bad-octet", "name-windows-share",
]  # fmt: skip


@pytest.fixture(scope="module")
def served() -> Iterator[dict[str, Served]]:
    """These messages in the inbox of a real server."""
    with Dovecot() as dovecot, IMAPStore(dovecot.imap(), Credentials("corpus", PASSWORD)) as store:
        uids = {name: store.append("INBOX", io.BytesIO(raw(name))) for name in (*ON_A_SERVER, *LEFT_TO_US)}
        yield {name: Served(store, uid) for name, uid in uids.items() if uid}


@pytest.mark.parametrize("name", [*ON_A_SERVER, *LEFT_TO_US])
def test_a_message_says_the_same_through_a_real_server(name: str, served: dict[str, Served]) -> None:
    assert_says(served[name], expected(name))


@pytest.mark.parametrize("name", ON_A_SERVER)
def test_a_real_server_tells_the_same_parts_as_we_find(name: str, served: dict[str, Served]) -> None:
    with_line_ends = Whole(raw(name).replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))  # as the server gives it
    assert facts(served[name].root) == facts(with_line_ends.root)


def facts(root: mime.BodyPart) -> list[tuple[str | int, ...]]:
    """IMAP counts no octets of a multipart, and says US-ASCII where a message says nothing."""
    return [
        (
            part.part_id, part.type, part.name, part.encoding, part.charset.replace("us-ascii", ""), part.disposition,
            part.cid, part.purpose, part.start, 0 if part.divided else part.size,
        )
        for part in root.walk()
    ]  # fmt: skip
