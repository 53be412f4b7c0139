"""Messages to test with."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.utils import format_datetime

_numbers = itertools.count(1)
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c633861a3f11f000528022c27"
    "fa01db0000000049454e44ae426082"
)


def letter(
    subject: str,
    text: str = "Hello.\n",
    *,
    to: str = "someone@imap.test",
    sender: str = "Ola Nordmann <ola@example.org>",
    minutes_ago: float = 0,
    html: str = "",
    files: dict[str, tuple[str, bytes]] | None = None,
    headers: dict[str, str] | None = None,
    pictures: dict[str, bytes] | None = None,
) -> bytes:
    """``files`` maps a name to type and octets, ``pictures`` a Content-ID to a PNG that the HTML shows."""
    message = EmailMessage()
    message["From"] = sender
    message["To"] = to
    message["Subject"] = subject
    message["Date"] = format_datetime(datetime.now(UTC) - timedelta(minutes=minutes_ago))
    message["Message-ID"] = f"<letter{next(_numbers)}.{abs(hash(subject))}@example.org>"
    for name, value in (headers or {}).items():
        del message[name]
        message[name] = value
    message.set_content(text)
    if html:
        message.add_alternative(html, subtype="html")
    for cid, octets in (pictures or {}).items():
        message.get_payload()[1].add_related(octets, "image", "png", cid=f"<{cid}>")  # type: ignore[index,union-attr]
    for name, (kind, octets) in (files or {}).items():
        main, _slash, sub = kind.partition("/")
        message.add_attachment(octets, maintype=main, subtype=sub, filename=name)
    return message.as_bytes()
