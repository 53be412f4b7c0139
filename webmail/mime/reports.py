"""What machines report of mail that was sent, in plain facts: that it was not delivered (RFC 3464), that it was displayed
(RFC 8098), that somebody called it spam (RFC 5965). Nothing of it is proven: anybody can write such a report.

A caller shows a report only beside the message; whether it is about mail of one's own, ``message_id`` tells."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from datetime import datetime

from webmail.mime.addresses import parse_address_field
from webmail.mime.contents import OctetsOf
from webmail.mime.header import Header, parse_date, parse_header, raw_fields
from webmail.mime.parts import BodyPart
from webmail.mime.transfer import decode_transfer
from webmail.mime.words import clean, decode_words

MAX_REPORT = 128 * 1024  # octets of a report that are read, and of the header that it returns
MAX_RECIPIENTS = 200
MAX_WORDS = 2000  # characters of what a server said


@dataclass(frozen=True, slots=True)
class Recipient:
    """What became of one recipient. ``action`` is "failed", "delayed", "delivered", "relayed" or "expanded" (RFC 3464
    §2.3.3); ``status`` like "5.1.1" (RFC 3463), or ""; ``words`` are those of ``server``, which may be "" each;
    ``original`` is the address that was written, where it is another."""

    address: str
    action: str = "failed"
    status: str = ""
    words: str = ""
    server: str = ""
    original: str = ""
    when: datetime | None = None
    retried_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Bounce:
    """``reporter`` is the server that tells. ``message_id`` and ``subject`` are of the mail that was sent, or ""."""

    recipients: tuple[Recipient, ...]
    reporter: str = ""
    arrived: datetime | None = None
    message_id: str = ""
    subject: str = ""


@dataclass(frozen=True, slots=True)
class Receipt:
    """``disposition`` is "displayed", "deleted", "dispatched", "processed" or what else the program says; ``automatic``:
    no person asked for the receipt to be sent (RFC 8098 §3.2.6)."""

    recipient: str
    disposition: str
    automatic: bool = False
    program: str = ""
    original: str = ""
    message_id: str = ""
    subject: str = ""


@dataclass(frozen=True, slots=True)
class Complaint:
    """``kind`` is "abuse", "fraud", "virus", "not-spam", "auth-failure" or the like (RFC 5965 §7.3)."""

    kind: str
    source: str = ""
    sender: str = ""
    recipients: tuple[str, ...] = ()
    arrived: datetime | None = None
    reporter: str = ""
    message_id: str = ""
    subject: str = ""


Report = Bounce | Receipt | Complaint
_DELIVERY = ("message/delivery-status", "message/global-delivery-status")
_DISPOSITION = ("message/disposition-notification", "message/global-disposition-notification")
_FEEDBACK = ("message/feedback-report",)
_RETURNED = ("message/rfc822", "message/global", "text/rfc822-headers", "message/global-headers")
Fields = dict[str, str]


def report_part(root: BodyPart) -> BodyPart | None:
    """The part that machines read, if the message is a report."""
    kinds = (*_DELIVERY, *_DISPOSITION, *_FEEDBACK)
    return next((part for part in root.own() if part.type in kinds), None)


def read_report(root: BodyPart, octets_of: OctetsOf) -> Report | None:
    """The report that a message is, or None. Reads at most MAX_REPORT octets of each of two parts, by ``octets_of``
    (still encoded, by id), and raises nothing but what that does."""
    part = report_part(root)
    if part is None:
        return None
    groups = _groups(_read(part, octets_of))
    if not groups:
        return None
    about = _returned(root, part, octets_of)
    if part.type in _DELIVERY:
        return _bounce(groups, about)
    return _receipt(groups[0], about) if part.type in _DISPOSITION else _complaint(groups[0], about)


def _read(part: BodyPart, octets_of: OctetsOf) -> bytes:
    octets = bytearray()
    for chunk in decode_transfer(octets_of(part.part_id, MAX_REPORT * 2), part.encoding):
        octets += chunk
        if len(octets) > MAX_REPORT:
            break
    return bytes(octets[:MAX_REPORT])


def _groups(octets: bytes) -> list[Fields]:
    """Fields like those of a header, in groups with blank lines between; of one name the first counts."""
    groups: list[Fields] = []
    lines = [line.rstrip() for line in octets.split(b"\n")]
    for blank, group in itertools.groupby(lines, key=lambda line: not line):
        fields: Fields = {}
        for name, value in () if blank else raw_fields(b"\r\n".join(group)):
            fields.setdefault(name, clean(decode_words(value[:MAX_WORDS])))
        if fields:
            groups.append(fields)
        if len(groups) > MAX_RECIPIENTS:
            break
    return groups


def _returned(root: BodyPart, report: BodyPart, octets_of: OctetsOf) -> Header:
    """The header of the mail that it is about: of the last part that may have it, since the report comes first."""
    found = [part for part in root.own() if part.type in _RETURNED and part is not report]
    after = [part for part in found if _order(part) > _order(report)]
    if not after:
        return Header()
    header = _read(after[0], octets_of).lstrip(b"\r\n")
    return parse_header(header)


def _order(part: BodyPart) -> list[int]:
    return [int(number) if number.isdecimal() else 0 for number in re.split(r"[.~]", part.part_id)]


_STATUS = re.compile(r"(?<![\d.])[245]\.\d{1,3}\.\d{1,3}(?![\d.])")
_SERVER_WORDS = re.compile(r"[a-z0-9-]{1,40}[ \t]*;[ \t]*(.*)", re.IGNORECASE | re.DOTALL)
_HEX = re.compile(r"\\x\{([0-9A-Fa-f]{2,6})\}")


def _typed(value: str) -> str:
    """``rfc822; a@b``, ``dns; mx.b``, ``smtp; 550 no``: what stands behind the type (RFC 3464 §2.1.2)."""
    match = _SERVER_WORDS.fullmatch(value)
    return (match[1] if match else value).strip()


def _address(value: str) -> str:
    """RFC 6533 §3: what is not ASCII may be written as ``\\x{e5}``."""
    text = _HEX.sub(lambda match: chr(min(int(match[1], 16), 0x10FFFF)), _typed(value))
    found = parse_address_field(text)
    return found[0].email or clean(text)[:320] if found else ""


def _bounce(groups: list[Fields], about: Header) -> Bounce | None:
    whole = {} if "final-recipient" in groups[0] else groups[0]
    recipients = [_recipient(group) for group in groups if "final-recipient" in group or "original-recipient" in group][
        :MAX_RECIPIENTS
    ]
    if not recipients:
        return None
    return Bounce(
        recipients=tuple(recipients),
        reporter=_typed(whole.get("reporting-mta", ""))[:255],
        arrived=parse_date(whole.get("arrival-date", "")),
        message_id=about.message_id or whole.get("x-original-message-id", "").strip("<> ")[:500],
        subject=about.subject,
    )


def _status(text: str) -> str:
    match = _STATUS.search(text)
    return match[0] if match else ""


def _recipient(group: Fields) -> Recipient:
    address = _address(group.get("final-recipient", ""))
    original = _address(group.get("original-recipient", ""))
    words = _typed(group.get("diagnostic-code", ""))
    code = _status(group.get("status", "")) or _status(words)
    action = group.get("action", "").lower().partition(" ")[0].strip(";,.")
    return Recipient(
        address=address or original,
        action=action or ("delayed" if code.startswith("4") else "delivered" if code.startswith("2") else "failed"),
        status=code,
        words=words[:MAX_WORDS],
        server=_typed(group.get("remote-mta", ""))[:255],
        original=original if original and original.lower() != address.lower() else "",
        when=parse_date(group.get("last-attempt-date", "")),
        retried_until=parse_date(group.get("will-retry-until", "")),
    )


def _receipt(fields: Fields, about: Header) -> Receipt | None:
    mode, _, rest = fields.get("disposition", "").lower().partition(";")
    disposition = re.split(r"[/,\s]", rest.strip() or mode.strip(), maxsplit=1)[0]
    address = _address(fields.get("final-recipient", ""))
    if not disposition and not address:
        return None
    original = _address(fields.get("original-recipient", ""))
    return Receipt(
        recipient=address or original,
        disposition=disposition[:40],
        automatic="automatic-action" in mode or "mdn-sent-automatically" in mode,
        program=fields.get("reporting-ua", "")[:255],
        original=original if original.lower() != address.lower() else "",
        message_id=fields.get("original-message-id", "").strip("<> ")[:500] or about.message_id,
        subject=about.subject,
    )


def _complaint(fields: Fields, about: Header) -> Complaint | None:
    kind = fields.get("feedback-type", "").lower()[:40]
    if not kind:
        return None
    to = fields.get("original-rcpt-to", "")
    return Complaint(
        kind=kind,
        source=fields.get("source-ip", "")[:60],
        sender=_address(fields.get("original-mail-from", "")),
        recipients=tuple(person.email for person in parse_address_field(to) if person.email)[:MAX_RECIPIENTS],
        arrived=parse_date(fields.get("arrival-date", "") or fields.get("received-date", "")),
        reporter=_typed(fields.get("reporting-mta", ""))[:255] or fields.get("user-agent", "")[:255],
        message_id=about.message_id,
        subject=about.subject,
    )


_QMAIL = re.compile(r"^Hi\. This is the [^\n]{1,200}program", re.MULTILINE)
_QMAIL_RECIPIENT = re.compile(r"^<([^<>\s]{1,320})>:\n((?:[^\n]+\n?){1,20})", re.MULTILINE)
_EXIM = re.compile(r"following address(?:\(es\)|es)? failed:\s*\n", re.IGNORECASE)
_EXIM_RECIPIENT = re.compile(r"^  ([^\s<>]{1,64}@[^\s<>:]{1,255})[^\n]*\n((?:    [^\n]+\n?){0,20})", re.MULTILINE)
_COPY = re.compile(r"^-+ (?:Below this line is a copy|This is a copy)[^\n]*$", re.MULTILINE)
_COPIED_ID = re.compile(r"^Message-ID:\s*<([^<>\s]{1,500})>", re.MULTILINE | re.IGNORECASE)
_COPIED_SUBJECT = re.compile(r"^Subject: *([^\n]{1,900})", re.MULTILINE | re.IGNORECASE)


def bounce_in_text(text: str) -> Bounce | None:
    """The same from a text of qmail, or of Exim before it wrote RFC 3464. Reads the first MAX_REPORT characters."""
    text = text[:MAX_REPORT]
    qmail, exim = _QMAIL.search(text), _EXIM.search(text)
    start = qmail or exim
    if start is None:
        return None
    copy = _COPY.search(text, start.end())
    said, copied = text[start.end() : copy.start() if copy else None], text[copy.end() :] if copy else ""
    pattern = _QMAIL_RECIPIENT if qmail else _EXIM_RECIPIENT
    recipients = [
        Recipient(match[1], "failed", _status(match[2]), clean(match[2])[:MAX_WORDS])
        for match in itertools.islice(pattern.finditer(said), MAX_RECIPIENTS)
    ]
    if not recipients:
        return None
    message_id, subject = _COPIED_ID.search(copied), _COPIED_SUBJECT.search(copied)
    return Bounce(
        tuple(recipients),
        message_id=message_id[1] if message_id else "",
        subject=clean(decode_words(subject[1])) if subject else "",
    )
