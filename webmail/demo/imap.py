"""pymap over maildir folders, with a few things put right that Postkasse would otherwise stumble over.

pymap offers no seam for most of them, so they replace a name in its modules; requirements.txt pins the version.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from email.headerregistry import ContentDispositionHeader
from mailbox import MaildirMessage
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pymap.backend.maildir as pymap_maildir
import pymap.backend.maildir.mailbox as pymap_mailbox
from proxyprotocol.reader import ProxyProtocolReader
from proxyprotocol.version import ProxyProtocolVersion
from pymap.backend.maildir.layout import DefaultLayout
from pymap.backend.maildir.mailbox import Maildir
from pymap.backend.maildir.uidlist import UidList
from pymap.concurrent import Subsystem
from pymap.imap import IMAPServer
from pymap.parsing.primitives import List, String
from pymap.parsing.response import fetch


class Config(pymap_maildir.Config):
    """One process that does one thing at a time.

    On threads (pymap's default for maildir) each IDLE would hold one of a handful of threads, and two sessions could
    number the same new message twice; on the event loop every command runs from start to end undisturbed.
    """

    @classmethod
    def parse_args(cls, args: Namespace) -> Mapping[str, Any]:
        return {**super().parse_args(args), "subsystem": Subsystem.for_asyncio(), "reject_dnsbl": False}

    @property
    def greeting(self) -> bytes:
        return b"Postkasse sample server"  # pymap's own asks the network for this machine's name


class WholeMessage(MaildirMessage):
    """Remembers what it was made of."""

    def __init__(self, message: Any = None) -> None:
        super().__init__(message)
        if isinstance(message, bytes):
            self.whole = message


class WholeMaildir(Maildir):
    """Gives out messages as they were put in.

    pymap parses each message and writes it anew, with other spaces and bare LF; and what it copies is without content,
    for it asks only for the metadata. Kept on disk with LF line ends.
    """

    def get_message(self, key: str) -> Any:
        return self.get_bytes(key).replace(b"\n", b"\r\n")  # pymap wants only bytes() of it

    def get_message_metadata(self, key: str) -> MaildirMessage:
        message = super().get_message_metadata(key)
        message.kept = (self, key)  # type: ignore[attr-defined]  # goes along when the message is copied
        return message

    def _dump_message(self, message: Any, target: Any, mangle_from_: bool = False) -> None:
        if hasattr(message, "kept"):
            maildir, key = message.kept
            target.write(maildir.get_bytes(key))
        elif hasattr(message, "whole"):
            target.write(message.whole.replace(b"\r\n", b"\n"))
        else:
            super()._dump_message(message, target, mangle_from_)


class Folders(DefaultLayout[Any]):
    """Maildir++ in which a dot in a folder's name is not a level, and missing parents are made (RFC 9051 §6.3.4)."""

    @classmethod
    def get(cls, path: str, layout: str, maildir_type: type[Any]) -> Folders:
        return cls(path, maildir_type)

    @classmethod
    def _get_subdir(cls, parts: Any) -> str:
        return "".join("." + part.replace("%", "%25").replace(".", "%2E") for part in parts)

    @classmethod
    def _get_parts(cls, subdir: str) -> Any:
        return [unquote(part) for part in subdir.split(".")[1:]]

    def add_folder(self, name: str, delimiter: str) -> None:
        parts = self._split(name, delimiter)
        for depth in range(1, len(parts)):
            if not Path(self._get_path(parts[:depth])).exists():
                super().add_folder(delimiter.join(parts[:depth]), delimiter)
        super().add_folder(name, delimiter)


class Strings(String):
    """Content-Disposition in BODYSTRUCTURE as a name and parameters (RFC 9051 §7.5.2); pymap writes one string."""

    @classmethod
    def build(cls, value: Any, binary: bool = False, fallback: Any = None) -> Any:
        if not isinstance(value, ContentDispositionHeader):
            return String.build(value, binary, fallback)
        return List([String.build(value.content_disposition), fetch._ParamsList(value.params)])


_pymap_move = pymap_mailbox.MailboxData.move


async def _move(self: Any, uid: int, destination: Any, *, recent: bool = False) -> int | None:
    """pymap keeps a moved message's old uid on its list, by the name of its file; the message moved back would be
    there twice."""
    moved: int | None = await _pymap_move(self, uid, destination, recent=recent)
    async with UidList.with_write(self._path) as uids:
        if moved is not None:
            uids.remove(uid)
    return moved


def connection_handler(folder: Path) -> Any:
    """What asyncio.start_server calls for each connection. ``folder`` holds pymap-etc-passwd and the mail."""
    pymap_maildir.Maildir = WholeMaildir  # type: ignore[misc]
    pymap_mailbox.MaildirMessage = WholeMessage  # type: ignore[misc]
    pymap_maildir.MaildirLayout = Folders  # type: ignore[misc, assignment]
    fetch.String = Strings  # type: ignore[misc]
    pymap_mailbox.MailboxData.move = _move  # type: ignore[method-assign]
    args = Namespace(
        host=None, port=0, debug=False, cert=None, key=None, tls=False, passlib_cfg=None, proxy_protocol=None,
        base_dir=str(folder), concurrency=1, layout="++", colon=None,
    )  # fmt: skip
    config = Config.from_args(args)
    config.apply_context()
    server = IMAPServer(pymap_maildir.Login(config), config)
    return ProxyProtocolReader(ProxyProtocolVersion.get()).get_callback(server)
