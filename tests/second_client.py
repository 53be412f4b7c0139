"""Another mail program looking at the same mailbox, so that a test sees what the server really has."""

from __future__ import annotations

import email.message
import email.parser
import email.policy
import imaplib
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from tests.app import eventually
from tests.servers import PASSWORD, Dovecot

Parsed = email.message.EmailMessage
_PARSER = email.parser.BytesParser(policy=email.policy.default)


class SecondClient:
    def __init__(self, connection: imaplib.IMAP4) -> None:
        self._imap = connection

    def folders(self) -> set[str]:
        _status, lines = self._imap.list()
        return {line.decode().rpartition(' "/" ')[2].strip('"') for line in lines if isinstance(line, bytes)}

    def create(self, folder: str) -> None:
        assert self._imap.create(f'"{folder}"')[0] == "OK"

    def rename(self, folder: str, name: str) -> None:
        assert self._imap.rename(f'"{folder}"', f'"{name}"')[0] == "OK"

    def subscribe(self, folder: str) -> None:
        """As programs do with what they create or rename: a subscription belongs to a name (RFC 9051 §6.3.7)."""
        assert self._imap.subscribe(f'"{folder}"')[0] == "OK"

    def messages(self, folder: str = "INBOX") -> list[Parsed]:
        """All of a folder, oldest first; reading marks nothing."""
        status, count = self._imap.select(f'"{folder}"', readonly=True)
        if status != "OK" or count == [b"0"]:
            return []
        _status, data = self._imap.fetch("1:*", "(BODY.PEEK[])")
        return [_PARSER.parsebytes(item[1]) for item in data if isinstance(item, tuple)]

    def subjects(self, folder: str = "INBOX") -> list[str]:
        return [str(message["Subject"]) for message in self.messages(folder)]

    def flags(self, subject: str, folder: str = "INBOX") -> set[str]:
        """Flags of the one message with this subject; empty if it is not there."""
        number = self._number(subject, folder, readonly=True)
        if not number:
            return set()
        _status, data = self._imap.fetch(number, "(FLAGS)")
        found = re.search(rb"FLAGS \(([^)]*)\)", data[0] if isinstance(data[0], bytes) else b"")
        return set(found[1].decode().split()) - {"\\Recent"} if found else set()

    def add_flag(self, subject: str, flag: str, folder: str = "INBOX") -> None:
        number = self._number(subject, folder)
        assert number, f"no message {subject!r} in {folder}"
        self._imap.store(number, "+FLAGS", f"({flag})")

    def mark_all(self, flag: str, folder: str = "INBOX") -> None:
        assert self._imap.select(f'"{folder}"')[0] == "OK"
        assert self._imap.store("1:*", "+FLAGS", f"({flag})")[0] == "OK"

    def remove(self, subject: str, folder: str = "INBOX") -> None:
        self.add_flag(subject, "\\Deleted", folder)
        self._imap.expunge()

    def move(self, subject: str, target: str, folder: str = "INBOX") -> None:
        number = self._number(subject, folder)
        assert number, f"no message {subject!r} in {folder}"
        assert self._imap.copy(number, f'"{target}"')[0] == "OK"
        self.remove(subject, folder)

    def append(self, raw: bytes, folder: str = "INBOX", flags: str = "") -> None:
        """It arrived when its Date field says."""
        date = _PARSER.parsebytes(raw, headersonly=True)["Date"].datetime
        status, answer = self._imap.append(f'"{folder}"', flags, imaplib.Time2Internaldate(date), raw)
        assert status == "OK", answer

    def append_many(self, letters: Iterable[bytes]) -> None:
        """Thousands at once, in one command (RFC 3502)."""
        tag = self._imap._new_tag()
        command = bytearray(tag + b" APPEND INBOX")
        for raw in letters:
            octets = raw.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
            date = imaplib.Time2Internaldate(_PARSER.parsebytes(raw, headersonly=True)["Date"].datetime)
            command += b" %s {%d+}\r\n%s" % (date.encode(), len(octets), octets)
        self._imap.send(bytes(command) + b"\r\n")
        while not (line := self._imap.readline()).startswith(tag):
            assert line, "the connection was lost"
        assert line.startswith(tag + b" OK"), line

    def _number(self, subject: str, folder: str, readonly: bool = False) -> str:
        """Sequence number of the first message with this subject; "" if there is none."""
        status, count = self._imap.select(f'"{folder}"', readonly=readonly)
        if status != "OK" or count == [b"0"]:
            return ""
        _status, data = self._imap.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
        for item in data:
            if isinstance(item, tuple) and _PARSER.parsebytes(item[1])["Subject"] == subject:
                return item[0].split(b" ")[0].decode()
        return ""

    # --- waiting ---

    def await_subjects(self, expected: set[str], folder: str = "INBOX") -> None:
        eventually(
            lambda: set(self.subjects(folder)) == expected, f"{expected} in {folder}, has {self.subjects(folder)}"
        )

    def await_folder(self, folder: str) -> None:
        eventually(lambda: folder in self.folders(), f"folder {folder}, has {self.folders()}")

    def await_message(self, subject: str, folder: str = "INBOX") -> Parsed:
        def look() -> list[Parsed]:
            return [message for message in self.messages(folder) if message["Subject"] == subject]

        return eventually(look, f"{subject!r} in {folder}")[0]

    def await_flag(self, subject: str, flag: str, folder: str = "INBOX", there: bool = True) -> None:
        eventually(lambda: (flag in self.flags(subject, folder)) == there, f"{flag} of {subject!r}: {there}")


@contextmanager
def second_client(dovecot: Dovecot, user: str) -> Iterator[SecondClient]:
    connection = imaplib.IMAP4("127.0.0.1", dovecot.imap_port, timeout=20)
    try:
        connection.login(user, PASSWORD)
        yield SecondClient(connection)
    finally:
        connection.logout()
