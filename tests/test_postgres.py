"""PostgreSQL as a database of the product: part of the tests of pages on it, and the whole of Postkasse.

All other tests run on it too: POSTKASSE_TEST_DATABASE=postgres make test
"""

from __future__ import annotations

import os
import subprocess
import sys

from tests.app import ROOT, Postkasse, eventually
from tests.letters import letter
from tests.second_client import second_client
from tests.servers import Dovecot, SMTPServer
from tests.visitor import Visitor

PART = (
    "tests/views/test_plans.py",
    "tests/views/test_prepared.py",
    "tests/views/test_undo.py",
    "tests/cache/test_plans.py",
    "tests/search",
)


def test_pages_work_on_postgresql_too() -> None:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:xdist", "-q", *PART]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "WEBMAIL_"))}
    environment = {**kept, "POSTKASSE_TEST_DATABASE": "postgres"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]


def test_mail_is_read_moved_and_sent_on_postgresql() -> None:
    with Dovecot() as dovecot, SMTPServer(deliver_to=dovecot, domains=("pg.test",)) as smtp:
        table = {"incoming": f"imap://localhost:{dovecot.imap_port}", "outgoing": f"smtp://localhost:{smtp.port}"}
        with second_client(dovecot, "kari@pg.test") as client:
            client.append(letter("Møte på torsdag", "Vi ses klokka ni.", to="kari@pg.test"))
        with Postkasse({"pg.test": table}, database="postgres") as app:
            visitor = Visitor(app)
            visitor.sign_in("kari@pg.test")
            pk = eventually(lambda: app.rows("SELECT id FROM webmail_message"), "the message")[0]["id"]
            assert "Vi ses klokka ni." in visitor.get(f"/messages/{pk}/")
            app.indexed("kari@pg.test", 1)
            assert "Møte på <mark>torsdag</mark>" in visitor.get("/search/?q=torsdag")
            visitor.post("/messages/mailbox/?role=trash", "/", id=str(pk), next="/")
            eventually(lambda: _subjects(dovecot, "Trash") == ["Møte på torsdag"], "it is in the server's trash")
            visitor.send("kari@pg.test", "Til meg selv")
            eventually(lambda: "Til meg selv" in visitor.get("/"), "what was sent has come")


def _subjects(dovecot: Dovecot, folder: str) -> list[str]:
    with second_client(dovecot, "kari@pg.test") as client:
        return client.subjects(folder)
