"""The letters, written once as maildir folders in the form that pymap keeps them.

Writing files is a thousand times faster than APPEND, and safe because it happens before the server opens them: all of
it goes to a folder beside, which gets its name when it is whole. Half a seed from a crash is thrown away.
"""

from __future__ import annotations

import os
import shutil
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from email.utils import parseaddr
from hashlib import sha256
from pathlib import Path

from . import business, oddities, people
from .letter import DOMAIN, INGRID, JONAS, KARI, READ, UNREAD, Letter

MAILBOXES = (KARI, INGRID, JONAS)
FOLDERS = ("INBOX", "Archive", "Drafts", "Junk", "Sent", "Trash")
# pymap lets a client use only the keywords that a folder lists here.
KEYWORDS = ("$Forwarded", "$Junk", "$NotJunk", "$Phishing", "$MDNSent", "$Important")


def user_of(address: str) -> str:
    return parseaddr(address)[1].lower()


def letters_of(owner: str, now: datetime) -> list[Letter]:
    """The mailbox of ``owner``, oldest first. Kari's letters are written; the others hold their side of them."""
    written = [*people.letters(now), *business.letters(now), *oddities.letters(now)]
    if owner != KARI:
        written = [mirrored for letter in written if (mirrored := _other_side(letter, owner))]
    return sorted(written, key=lambda letter: letter.sent_at(now))


def _other_side(letter: Letter, owner: str) -> Letter | None:
    if letter.sender == owner:
        return replace(letter, folder="Sent", flags=READ)
    if letter.folder == "Sent" and owner in letter.to:
        return replace(letter, folder="INBOX", flags=UNREAD)
    return None


def seed(mail: Path, now: datetime) -> int:
    """Write all mailboxes into the folder ``mail`` unless it is there. Returns the number of letters written."""
    if mail.exists():
        return 0
    unfinished = mail.with_name(mail.name + ".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    ids = {letter.id: letter.message_id() for letter in letters_of(KARI, now) if letter.id}
    written = sum(_write_mailbox(unfinished / user_of(owner), letters_of(owner, now), now, ids) for owner in MAILBOXES)
    unfinished.rename(mail)
    return written


def _write_mailbox(home: Path, letters: Iterable[Letter], now: datetime, ids: dict[str, str]) -> int:
    by_folder: dict[str, list[Letter]] = {name: [] for name in FOLDERS}
    by_folder = defaultdict(list, by_folder)
    for letter in letters:
        by_folder[letter.folder].append(letter)
    for name, members in by_folder.items():
        _write_folder(_folder_path(home, name), members, now, ids)
    (home / "subscriptions").write_text("".join(f"{name}\r\n" for name in by_folder), encoding="utf-8")
    return sum(map(len, by_folder.values()))


def _folder_path(home: Path, name: str) -> Path:
    """Maildir++: folders lie side by side, their names in dots."""
    return home if name == "INBOX" else home / ("." + name.replace("/", "."))


def _write_folder(path: Path, letters: list[Letter], now: datetime, ids: dict[str, str]) -> None:
    for part in ("cur", "new", "tmp"):
        (path / part).mkdir(parents=True, exist_ok=True)
    (path / "maildirfolder").touch()
    (path / "dovecot-keywords").write_text("".join(f"{number} {word}\n" for number, word in enumerate(KEYWORDS)))
    guid = sha256(str(path).encode()).hexdigest()[:32]
    lines = [f"3 V{int(now.timestamp())} N{len(letters) + 1} G{guid}\r\n"]
    for uid, letter in enumerate(letters, 1):
        lines.append(_write_letter(path, uid, letter, now, ids))
    (path / "dovecot-uidlist").write_text("".join(lines), newline="")


def _write_letter(path: Path, uid: int, letter: Letter, now: datetime, ids: dict[str, str]) -> str:
    """The line of the uid list for the message written."""
    sent = int(letter.sent_at(now).timestamp())
    name = f"{sent}.L{uid}.{DOMAIN}:2,{''.join(sorted(letter.flags))}"
    file = path / "cur" / name
    file.write_bytes(letter.to_bytes(now, ids).replace(b"\r\n", b"\n"))
    os.utime(file, (sent, sent))
    mark = sha256(str(file).encode()).hexdigest()[:32]
    return f"{uid} EM{mark} TT{mark} :{name}\r\n"
