"""A real CardDAV server on loopback: Radicale, with its cards in a temporary directory.

with Radicale() as radicale:
    radicale.make_book("anna", "kor", "Koret")
"""

from __future__ import annotations

import base64
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.servers import PASSWORD, START_LIMIT, free_port

CONFIG = """
[server]
hosts = 127.0.0.1:{port}
[auth]
type = htpasswd
htpasswd_filename = {folder}/users
htpasswd_encryption = plain
delay = 0
[storage]
filesystem_folder = {folder}/collections
[logging]
level = warning
"""
MAKE = """<?xml version="1.0"?><d:mkcol xmlns:d="DAV:" xmlns:c="urn:ietf:params:xml:ns:carddav"><d:set><d:prop>
<d:resourcetype><d:collection/><c:addressbook/></d:resourcetype><d:displayname>{name}</d:displayname></d:prop></d:set>
</d:mkcol>"""


class Radicale:
    """``users`` have PASSWORD."""

    def __init__(self, users: tuple[str, ...] = ("anna", "bo")) -> None:
        self.users = users

    def __enter__(self) -> Self:
        self.folder = Path(tempfile.mkdtemp(prefix="radicale-"))
        self.port = free_port()
        self.url = f"http://localhost:{self.port}/"
        (self.folder / "users").write_text("".join(f"{user}:{PASSWORD}\n" for user in self.users))
        config = self.folder / "config"
        config.write_text(CONFIG.format(port=self.port, folder=self.folder))
        command = [sys.executable, "-m", "radicale", "--config", str(config)]
        with (self.folder / "log").open("wb") as log:
            self._process = subprocess.Popen(command, cwd=self.folder, stdout=log, stderr=log)
        deadline = time.monotonic() + START_LIMIT
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                words = (self.folder / "log").read_text(errors="replace")
                self.__exit__(None, None, None)
                raise RuntimeError(f"Radicale did not start: {words}")
            time.sleep(0.02)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.wait(10)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _answers(self) -> bool:
        try:
            urllib.request.urlopen(f"{self.url}.web/", timeout=5).close()
        except urllib.error.HTTPError as answer:
            answer.close()
        except OSError:
            return False
        return True

    def ask(self, method: str, path: str, text: str = "", user: str = "anna", **headers: str) -> tuple[int, str]:
        """As another program of this person: (status, body)."""
        pair = base64.b64encode(f"{user}:{PASSWORD}".encode()).decode()
        request = urllib.request.Request(
            self.url + path.lstrip("/"),
            text.encode() or None,
            {"Authorization": f"Basic {pair}", **headers},
            method=method,
        )
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def make_book(self, user: str, book: str, name: str) -> None:
        status, words = self.ask("MKCOL", f"/{user}/{book}/", MAKE.format(name=name), user)
        assert status == 201, words

    def put(self, path: str, text: str, user: str = "anna") -> None:
        status, words = self.ask("PUT", path, text.replace("\n", "\r\n"), user, **{"Content-Type": "text/vcard"})
        assert status in (201, 204), words

    def card(self, path: str, user: str = "anna") -> str:
        status, text = self.ask("GET", path, user=user)
        assert status == 200, text
        return text.replace("\r\n", "\n").replace("\n ", "")

    def delete(self, path: str, user: str = "anna") -> None:
        assert self.ask("DELETE", path, user=user)[0] == 200

    def paths(self, user: str, book: str) -> list[str]:
        """The cards of a book."""
        folder = self.folder / "collections" / "collection-root" / user / book
        return sorted(f"/{user}/{book}/{file.name}" for file in folder.glob("*.vcf"))
