"""A letter of the sample mailbox, and how it becomes an RFC 5322 message."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.header import Header
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from pathlib import Path

from .files import File

DOMAIN = "postkasse.test"
KARI = f"Kari Nordahl <kari@{DOMAIN}>"
INGRID = f"Ingrid Solheim <ingrid@{DOMAIN}>"
JONAS = f"Jonas Nordahl <jonas@{DOMAIN}>"

# Flags as maildir spells them: S seen, F flagged (starred), R replied, D draft.
READ, UNREAD, STARRED, ANSWERED = "S", "", "FS", "RS"


def page(name: str) -> str:
    """An HTML body, kept as a file of its own in the folder html."""
    return (Path(__file__).parent / "html" / f"{name}.html").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Letter:
    """``when`` is an age: "35m", "3h", or days and a time of day, "2d 14:03". The rest is what it says."""

    when: str
    sender: str
    subject: str | None
    text: str = ""
    html: str = ""
    folder: str = "INBOX"
    flags: str = READ
    to: str = KARI
    cc: str = ""
    id: str = ""
    replies: tuple[str, ...] = ()
    files: tuple[File, ...] = ()
    pictures: tuple[File, ...] = ()
    charset: str = "utf-8"
    flowed: bool = False
    invitation: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    raw: str = ""  # a whole message, in place of text and html: {date}, {from}, {to} and {id} are filled in

    def sent_at(self, now: datetime) -> datetime:
        """The moment it was sent; never later than now."""
        if match := re.fullmatch(r"(\d+)([mh])", self.when):
            amount = int(match[1])
            return now - (timedelta(minutes=amount) if match[2] == "m" else timedelta(hours=amount))
        days, hour, minute = map(int, re.fullmatch(r"(\d+)d (\d\d):(\d\d)", self.when).groups())  # type: ignore[union-attr]
        day = now - timedelta(days=days)
        return min(day.replace(hour=hour, minute=minute, second=0, microsecond=0), now)

    def message_id(self) -> str:
        name = self.id or "".join(character for character in self.when if character.isalnum())
        return f"<{name}.{re.sub('[^a-z]', '', parseaddr(self.sender)[1])}@letters.{DOMAIN}>"

    def to_bytes(self, now: datetime, ids: dict[str, str]) -> bytes:
        """The message, lines ended by CRLF. ``ids``: letter id -> Message-ID, of what this may reply to."""
        if self.raw:
            return self._from_raw(now)
        message = EmailMessage(policy=SMTP)
        self._set_body(message)
        for name, value in self._header_fields(now, ids):
            message[name] = value
        return self._old_charset_fields() + message.as_bytes()

    def _from_raw(self, now: datetime) -> bytes:
        fields = {"date": format_datetime(self.sent_at(now)), "from": self.sender, "to": self.to}
        text = self.raw.lstrip("\n").format(id=self.message_id(), **fields)
        return text.replace("\n", "\r\n").encode(self.charset)

    def _header_fields(self, now: datetime, ids: dict[str, str]) -> list[tuple[str, str]]:
        fields = [("Date", format_datetime(self.sent_at(now))), ("Message-ID", self.message_id()), ("To", self.to)]
        if self.cc:
            fields.append(("Cc", self.cc))
        if self.charset == "utf-8":
            fields.append(("From", self.sender))
            if self.subject is not None:
                fields.append(("Subject", self.subject))
        if self.replies:
            known = [ids[name] for name in self.replies]
            fields += [("In-Reply-To", known[-1]), ("References", " ".join(known))]
        return fields + list(self.headers.items())

    def _old_charset_fields(self) -> bytes:
        """From and Subject in the letter's own charset (RFC 2047); EmailMessage writes no charset but UTF-8."""
        if self.charset == "utf-8":
            return b""
        name, address = parseaddr(self.sender)
        sender = Header(name, self.charset).encode(linesep="\r\n")
        subject = Header(self.subject or "", self.charset, header_name="Subject").encode(linesep="\r\n")
        return f"From: {sender} <{address}>\r\nSubject: {subject}\r\n".encode("ascii")

    def _set_body(self, message: EmailMessage) -> None:
        if self.text or not self.html:
            message.set_content(self.text.strip() + "\n", charset=self.charset)
            if self.flowed:
                message.set_param("format", "flowed")  # RFC 3676
        if self.html:
            self._set_html(message)
        if self.invitation:  # RFC 6047 §2.4: the request is an alternative of the text, with its method as a parameter
            message.add_alternative(self.invitation, subtype="calendar", params={"method": "REQUEST"})
        for file in self.files:
            kind, subtype = file.type.split("/")
            params = {"charset": "utf-8"} if kind == "text" else None
            message.add_attachment(file.data, maintype=kind, subtype=subtype, filename=file.name, params=params)

    def _set_html(self, message: EmailMessage) -> None:
        if self.text:
            message.add_alternative(self.html.strip() + "\n", subtype="html", charset=self.charset)
            part = message.get_payload()[-1]  # type: ignore[index]
        else:
            message.set_content(self.html.strip() + "\n", subtype="html", charset=self.charset)
            part = message
        for picture in self.pictures:
            kind, subtype = picture.type.split("/")
            cid = f"<{picture.name}@letters.{DOMAIN}>"
            part.add_related(  # type: ignore[union-attr]
                picture.data, maintype=kind, subtype=subtype, cid=cid, filename=picture.name, disposition="inline"
            )
