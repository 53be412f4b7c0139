"""Mail as it is: half of it plain text, a third with an HTML alternative, the rest with files; and how to have a lot of
it in a mailbox quickly."""

from __future__ import annotations

import base64
import imaplib
import random
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from tests.servers import PASSWORD, Dovecot

NAMES = (
    "Kari Nordmann", '"Hansen, Per"', "=?utf-8?Q?J=C3=B8rgen_=C3=98stby?=", "=?UTF-8?B?w4VzZSBMw7hrZW4=?=", "Anna",
    "=?iso-8859-1?Q?Bj=F6rn_Str=F6m?=", '"GitHub"', "Ola Nilsen (work)", "The Daily Digest", "'Support'",
)  # fmt: skip
SUBJECTS = (
    "Minutes of the meeting", "=?utf-8?Q?M=C3=B8te_p=C3=A5_torsdag?=", "Invoice 2024-{n}", "[list] Release {n} is out",
    "=?UTF-8?B?U29tbWVyZmVyaWUgb2cgdmFrdGxpc3Rl?=", "Your order {n} has been sent", "Lunch?", "Weekly report {n}",
    "=?utf-8?Q?Sp=C3=B8rsm=C3=A5l_om_faktura_=28nr=2E_{n}=29_og_en_lang_linje?=\r\n =?utf-8?Q?_som_brytes?=",
)  # fmt: skip
HTML = (
    "<html><body><p>Hello, this is <b>message {n}</b>.</p>"
    + "<p>And some more of the same.</p>" * 12
    + "</body></html>"
)
FILE = base64.encodebytes(bytes(range(256)) * 12).decode().replace("\n", "\r\n")


def letter(n: int, address: str, when: datetime) -> bytes:
    """The ``n``-th message: always the same for the same ``n``."""
    chance, person = random.Random(n), _person(n)
    name = NAMES[person % len(NAMES)]
    head = [
        f"Return-Path: <p{person}@site{person % 97}.example>",
        f"Received: from mx{n % 7}.site{person % 97}.example by mail.example.org with ESMTPS id {n:012x};\r\n"
        f"\t{format_datetime(when)}",
        f"Delivered-To: {address}",
        f"DKIM-Signature: v=1; a=rsa-sha256; d=site{person % 97}.example; s=s1; bh={chance.getrandbits(256):064x};\r\n"
        f" b={chance.getrandbits(512):0128x}",
        f"From: {name} <p{person}@site{person % 97}.example>",
        f"To: {address}" + (f", Someone Else <p{n % 211}@example.org>" if n % 4 == 0 else ""),
        f"Subject: {'Re: ' if n % 3 else ''}{SUBJECTS[n // 3 % len(SUBJECTS)].format(n=n // 3)}",
        f"Date: {format_datetime(when)}",
        f"Message-ID: {_message_id(n)}",
        *_context(n),
        "MIME-Version: 1.0",
    ]
    return ("\r\n".join(head) + "\r\n" + _body(n, chance)).encode()


def _person(n: int) -> int:
    """Who wrote it: a few people write most of the mail, and many write once."""
    return int(5000 * random.Random(n).random() ** 3)


def _message_id(n: int) -> str:
    return f"<{n:x}.{_person(n):x}@site{_person(n) % 97}.example>"


def _context(n: int) -> Iterator[str]:
    """Two of three messages answer; one of eight is from a list."""
    if n % 3:
        ids = [_message_id(older) for older in range(n - n % 3, n)]
        yield f"In-Reply-To: {ids[-1]}"
        yield "References: " + "\r\n ".join(ids)
    if n % 5 == 0:
        yield f"Cc: Board <board{n % 13}@example.org>, =?utf-8?Q?=C3=85se?= <aase@example.org>"
    if n % 8 == 0:
        yield f"List-Id: Talk about things <talk{n % 20}.lists.example.org>"
        yield f"List-Unsubscribe: <https://lists.example.org/leave/{n}>, <mailto:leave-{n}@lists.example.org>"
        yield "List-Unsubscribe-Post: List-Unsubscribe=One-Click"
    if n % 2:
        yield "Authentication-Results: mail.example.org; dkim=pass header.d=site.example; spf=pass; dmarc=pass"


def _body(n: int, chance: random.Random) -> str:
    text = f"Hello,\r\n\r\nthis is message {n}.\r\n" * 8
    if n % 6 < 3:
        return f"Content-Type: text/plain; charset={'utf-8' if n % 4 else 'us-ascii; format=flowed'}\r\n\r\n{text}"
    mark = f"=_{chance.getrandbits(96):024x}"
    alternative = (
        f"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n{text}\r\n--{mark}\r\n"
        f"Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{HTML.format(n=n)}\r\n"
    )
    if n % 6 < 5:
        return f'Content-Type: multipart/alternative; boundary="{mark}"\r\n\r\n--{mark}\r\n{alternative}--{mark}--\r\n'
    outer = f"----=_Part_{n}_{chance.getrandbits(40)}"
    kind, name = (("application/pdf", f"faktura-{n}.pdf"), ("image/png", "bilde.png"), ("text/calendar", "møte.ics"))[
        n % 3
    ]
    name = name if name.isascii() else "=?utf-8?Q?m=C3=B8te=2Eics?="
    return (
        f'Content-Type: multipart/mixed; boundary="{outer}"\r\n\r\n--{outer}\r\n'
        f'Content-Type: multipart/alternative; boundary="{mark}"\r\n\r\n--{mark}\r\n{alternative}--{mark}--\r\n--{outer}\r\n'
        f'Content-Type: {kind}; name="{name}"\r\nContent-Disposition: attachment; filename="{name}"\r\n'
        f"Content-Transfer-Encoding: base64\r\n\r\n{FILE}\r\n--{outer}--\r\n"
    )


def fill(dovecot: Dovecot, address: str, count: int) -> None:
    """``count`` messages into the inbox, one a minute until now, many under way at once (RFC 7888, RFC 3502)."""
    now = datetime.now(UTC).replace(microsecond=0)
    with socket.create_connection(("127.0.0.1", dovecot.imap_port)) as sock, sock.makefile("rb") as answers:
        answers.readline()
        sock.sendall(b"L LOGIN %s %s\r\n" % (address.encode(), PASSWORD.encode()))
        _await(answers, b"L")
        for start in range(0, count, 500):
            command = [b"A APPEND INBOX"]
            for n in range(start, min(start + 500, count)):
                when = now - timedelta(minutes=count - n)
                raw = letter(n, address, when)
                flags = b"" if n % 10 == 0 else b"\\Seen \\Answered" if n % 7 == 0 else b"\\Seen"
                command.append(
                    b" (%s) %s {%d+}\r\n%s" % (flags, imaplib.Time2Internaldate(when).encode(), len(raw), raw)
                )
            sock.sendall(b"".join(command) + b"\r\n")
            _await(answers, b"A")


def _await(answers, tag: bytes) -> None:  # type: ignore[no-untyped-def]
    while not (line := answers.readline()).startswith(tag):
        assert line, "the server hung up"
    assert line.split()[1] == b"OK", line
