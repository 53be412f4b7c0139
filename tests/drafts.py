"""Drafts of every kind, and whether a message says what one of them says."""

from __future__ import annotations

import re
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import NamedTuple

from django.core.files.base import ContentFile
from hypothesis import strategies as st

from accounts.models import User
from webmail import compose, mime
from webmail.models import Draft, DraftAttachment

# What people can type: all of Unicode but half pairs, and NUL, which a draft does not keep.
CHARACTERS = st.characters(blacklist_categories=("Cs",), blacklist_characters="\0")
TEXT = st.text(CHARACTERS, max_size=400)
LINE = st.text(CHARACTERS, max_size=120)
NAME = st.text(CHARACTERS, min_size=1, max_size=60)
LOCAL = st.from_regex(r"[a-z0-9][a-z0-9.+_-]{0,20}[a-z0-9]", fullmatch=True).filter(lambda text: ".." not in text)
PERSON = st.tuples(NAME, LOCAL)
FILE = st.tuples(NAME, st.binary(max_size=3000))


def plain(text: str) -> list[str]:
    """The lines as a reader sees them: of spaces at their ends, and after marks of quotes, format=flowed keeps none."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n ").split("\n")
    return [re.sub(r"^(>+) ?", r"\1 ", line).rstrip(" ") for line in lines]


def one_line(text: str) -> str:
    return " ".join(mime.clean(" ".join(text.split())).split())


class Typed(NamedTuple):
    """What somebody types: ``people`` are names and local parts, ``files`` names and octets."""

    people: list[tuple[str, str]]
    subject: str
    text: str
    files: list[tuple[str, bytes]]


TYPED = st.builds(Typed, st.lists(PERSON, min_size=1, max_size=4), LINE, TEXT, st.lists(FILE, max_size=3))
AWKWARD = Typed(
    [('Å, "B" <x>', "a")],
    "=?utf-8?q?x?=",
    "From me\n.\n-- \n> quoted  \n  stuffed",
    [("a\r\nBcc: x@y.z.txt", b"\r\n.\r\n")],
)


def drafted(user: User, typed: Typed) -> Draft:
    people = (mime.Address(one_line(name), f"{local}@example.org") for name, local in typed.people)
    draft = compose.new(user)
    to = ", ".join(map(mime.format_address, people))
    compose.change(draft, {"to": to, "subject": typed.subject, "text": typed.text})
    compose.save(draft)
    for name, data in typed.files:
        attachment = DraftAttachment(draft=draft, name=mime.safe_name(name), size=len(data))
        attachment.file.save("file", ContentFile(data))
    return draft


def assert_says_the_same(octets: bytes, typed: Typed, text: str) -> None:
    """``text`` is the draft's, with what it began with."""
    message = message_from_bytes(octets, policy=policy.strict.clone(refold_source="none"))
    assert isinstance(message, EmailMessage)
    assert not any(part.defects for part in message.walk())
    assert one_line(str(message["Subject"] or "")) == one_line(typed.subject)
    assert [one.addr_spec for one in message["To"].addresses] == [f"{local}@example.org" for _, local in typed.people]
    # By our own reading: Python 3.11 puts a space between two encoded words of a name (RFC 2047 §6.2 has none there).
    read = mime.parse_header(octets.partition(b"\r\n\r\n")[0] + b"\r\n\r\n")
    assert [one_line(one.name) for one in read.to] == [one_line(name) for name, _local in typed.people]
    body = message.get_body(("plain",))
    assert body is not None
    assert plain(mime.unflow(body.get_content().replace("\r\n", "\n"), False)) == plain(text)
    assert [part.get_payload(decode=True) for part in message.iter_attachments()] == [data for _, data in typed.files]
    names = [part.get_filename() or "" for part in message.iter_attachments()]
    assert names == [mime.safe_name(name) for name, _data in typed.files]


def assert_fit_to_send(octets: bytes) -> None:
    """RFC 5321 §4.5.3.1.6, RFC 5322 §2.1.1 and §2.3: short lines that end in CRLF, and nothing beyond seven bits."""
    lines = octets.split(b"\r\n")
    assert octets.endswith(b"\r\n")
    assert not any(b"\r" in line or b"\n" in line or b"\0" in line for line in lines)
    assert max(map(len, lines)) <= 998
    assert octets.isascii()
    header = octets.partition(b"\r\n\r\n")[0]
    assert not [line for line in header.split(b"\r\n") if line.lower().startswith(b"bcc:")]
