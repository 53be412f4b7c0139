"""The sample mail server: what it serves, what it accepts, and that it keeps what it was given."""

from __future__ import annotations

import imaplib
import io
import os
import signal
import smtplib
import subprocess
import sys
import time
import tomllib
import zipfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from PIL import Image

from webmail.demo.letter import KARI, Letter
from webmail.demo.seed import MAILBOXES, letters_of

ROOT = Path(__file__).resolve().parent.parent
ADDRESS, PASSWORD = "kari@postkasse.test", "postkasse"
NOW = datetime(2026, 11, 23, 12, 4, tzinfo=UTC)
ANY_PORT = {"WEBMAIL_DEMO_IMAP": "0", "WEBMAIL_DEMO_SMTP": "0"}


class Sample:
    """A sample server in a folder of its own."""

    def __init__(self, data: Path, ports: dict[str, str] = ANY_PORT) -> None:
        self.data = data
        self.ports = ports
        self.start()

    def start(self) -> None:
        environment = {**os.environ, "WEBMAIL_DATA": str(self.data), **self.ports}
        command = [sys.executable, str(ROOT / "manage.py"), "demo"]
        self.process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
        table = self.data / "demo" / "servers.toml"
        wait_for(lambda: self.process.poll() is not None or (table.exists() and self._serves(table)))
        assert self.process.poll() is None

    def _serves(self, table: Path) -> bool:
        domain = tomllib.loads(table.read_text())["domains"]["postkasse.test"]
        self.imap_port, self.smtp_port = urlsplit(domain["incoming"]).port, urlsplit(domain["outgoing"]).port
        try:
            imaplib.IMAP4("127.0.0.1", self.imap_port).shutdown()
        except OSError:  # the table of a server that was killed
            return False
        return True

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def end(self) -> int:
        self.process.terminate()
        return self.process.wait(10)

    def imap(self, user: str = ADDRESS) -> imaplib.IMAP4:
        client = imaplib.IMAP4("127.0.0.1", self.imap_port, timeout=20)
        client.login(user, PASSWORD)
        return client

    def smtp(self) -> smtplib.SMTP:
        return smtplib.SMTP("127.0.0.1", self.smtp_port, timeout=20)


def wait_for(ready: Callable[[], object], seconds: float = 25) -> None:
    deadline = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sample]:
    server = Sample(tmp_path_factory.mktemp("sample") / "a folder")
    yield server
    server.end()


pytestmark = pytest.mark.xdist_group("sample")


def subjects(client: imaplib.IMAP4, folder: str) -> list[str]:
    client.select(folder, readonly=True)
    _, data = client.uid("FETCH", "1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
    parts = [part[1] for part in data if isinstance(part, tuple)]
    return [str(message_from_bytes(part, policy=default)["subject"]) for part in parts]


def letter(to: str = ADDRESS, subject: str = "Til meg selv") -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = ADDRESS, to, subject
    message.set_content("Hei på deg.\n")
    return message


def test_it_serves_the_folders_nested_and_in_other_scripts(sample: Sample) -> None:
    with sample.imap() as client:
        names = {line.decode().split(' "/" ')[1].strip('"') for line in client.list()[1]}
    assert {"INBOX", "Sent", "Drafts", "Archive", "Junk", "Trash", "Bolig", "Bolig/Storgata 14", "Reiser"} <= names
    assert "&ZeVnLA-" in names  # 日本 in modified UTF-7


def test_the_inbox_is_lived_in(sample: Sample) -> None:
    with sample.imap() as client:
        found = {"all": 0}
        client.select("INBOX", readonly=True)
        for kind in ("ALL", "UNSEEN", "FLAGGED", "ANSWERED"):
            found[kind] = len(client.uid("SEARCH", kind)[1][0].split())
    assert found["ALL"] > 35
    assert 5 < found["UNSEEN"] < found["ALL"] / 2
    assert found["FLAGGED"] >= 3
    assert found["ANSWERED"] >= 2


def test_messages_come_out_as_they_were_put_in(sample: Sample) -> None:
    put = b"Subject: " + b"a long subject " * 12 + b"\r\nX-Odd:   three spaces\r\n\r\nbl\xe5b\xe6r \r\n.\r\n"
    with sample.imap() as client:
        client.append("Archive", r"(\Seen)", None, put)
        client.select("Archive", readonly=True)
        uid = client.uid("SEARCH", "SUBJECT", '"a long subject"')[1][0].split()[-1]
        data = client.uid("FETCH", uid, "(RFC822.SIZE BODY.PEEK[])")[1]
    assert data[0][1] == put
    assert f"RFC822.SIZE {len(put)}".encode() in data[0][0]


def test_copying_and_moving_keep_the_content(sample: Sample) -> None:
    with sample.imap() as client:
        client.select("Sent")
        uid = client.uid("SEARCH", "ALL")[1][0].split()[0]
        content = client.uid("FETCH", uid, "(BODY.PEEK[])")[1][0][1]
        assert client.uid("COPY", uid, "Reiser")[0] == "OK"
        assert client.uid("MOVE", uid, "Archive")[0] == "OK"
        for folder in ("Reiser", "Archive"):
            client.select(folder)
            newest = client.uid("SEARCH", "ALL")[1][0].split()[-1]
            assert client.uid("FETCH", newest, "(BODY.PEEK[])")[1][0][1] == content


def test_attachments_keep_their_names_in_bodystructure(sample: Sample) -> None:
    with sample.imap() as client:
        client.select("INBOX", readonly=True)
        uid = client.uid("SEARCH", "SUBJECT", "Kaiplass")[1][0].split()[0]
        data = client.uid("FETCH", uid, "(BODYSTRUCTURE)")[1]
    assert b'("attachment" ("filename" "Leieavtale kaiplass 7.pdf"))' in data[0]


def test_a_folder_may_have_a_dot_and_missing_parents(sample: Sample) -> None:
    with sample.imap() as client:
        assert client.create('"v1.2/Utkast/Nytt"')[0] == "OK"
        names = b"\n".join(client.list()[1]).decode()
    assert '"v1.2"' in names or " v1.2" in names
    assert "v1.2/Utkast/Nytt" in names


def test_sending_to_oneself_arrives_and_wakes_who_watches(sample: Sample) -> None:
    with sample.imap() as watching:
        watching.select("INBOX")
        watching.send(b"W IDLE\r\n")
        assert watching.readline().startswith(b"+")
        with sample.smtp() as client:
            client.login(ADDRESS, PASSWORD)
            assert client.send_message(letter()) == {}
        heard = watching.readline()
        while b"EXISTS" not in heard:
            heard = watching.readline()
        watching.send(b"DONE\r\n")
        while not watching.readline().startswith(b"W OK"):
            pass
    with sample.imap() as client:
        assert subjects(client, "INBOX").count("Til meg selv") == 1


def test_neighbours_can_write_to_each_other(sample: Sample) -> None:
    with sample.smtp() as client:
        client.login(ADDRESS, PASSWORD)
        client.send_message(letter("Jonas@postkasse.test", "Til Jonas"))
    with sample.imap("jonas@postkasse.test") as client:
        assert "Til Jonas" in subjects(client, "INBOX")


@pytest.mark.parametrize(
    ("recipient", "words"),
    [("someone@example.org", "within postkasse.test only"), ("nobody@postkasse.test", "No such mailbox")],
    ids=["another domain", "unknown here"],
)
def test_it_refuses_what_it_will_not_deliver(sample: Sample, recipient: str, words: str) -> None:
    with sample.smtp() as client:
        client.login(ADDRESS, PASSWORD)
        with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
            client.send_message(letter(recipient))
    code, reply = refused.value.recipients[recipient]
    assert code == 550
    assert words in reply.decode()


def test_it_wants_the_right_password(sample: Sample) -> None:
    with sample.smtp() as client:
        assert client.has_extn("size") or client.ehlo()[0] == 250
        assert int(client.esmtp_features["size"]) > 1_000_000
        with pytest.raises(smtplib.SMTPSenderRefused):
            client.send_message(letter())
        with pytest.raises(smtplib.SMTPAuthenticationError):
            client.login(ADDRESS, "wrong")
    with imaplib.IMAP4("127.0.0.1", sample.imap_port, timeout=20) as reader:
        with pytest.raises(imaplib.IMAP4.error):
            reader.login(ADDRESS, "wrong")


def test_mail_survives_being_killed(tmp_path: Path) -> None:
    server = Sample(tmp_path)
    with server.smtp() as client:
        client.login(ADDRESS, PASSWORD)
        client.send_message(letter(subject="Før strømmen gikk"))
    with server.imap() as reader:
        before = subjects(reader, "INBOX")
    server.kill()
    (server.data / "demo" / "mail" / ADDRESS / "dovecot-uidlist.lock").touch()  # as if killed while it wrote
    server.start()
    with server.imap() as reader:
        after = subjects(reader, "INBOX")
    assert server.end() == 0
    assert after == before
    assert after.count("Før strømmen gikk") == 1


def test_it_comes_back_on_the_ports_it_had(tmp_path: Path) -> None:
    ports = tmp_path / "demo" / "ports"
    server = Sample(tmp_path, {})
    before = ports.read_text()
    server.end()
    server.start()
    assert server.end() == 0
    assert ports.read_text() == before


LETTERS = [pytest.param(letter, id=f"{letter.folder} {letter.when}") for letter in letters_of(KARI, NOW)]
IDS = {letter.id: letter.message_id() for letter in letters_of(KARI, NOW) if letter.id}


@pytest.mark.parametrize("written", LETTERS)
def test_every_letter_is_a_valid_message(written: Letter) -> None:
    raw = written.to_bytes(NOW, IDS)
    message = message_from_bytes(raw, policy=default)
    assert b"\n" not in raw.replace(b"\r\n", b"")
    assert max(map(len, raw.split(b"\r\n"))) <= 998  # RFC 5322 §2.1.1
    assert message["date"].datetime <= NOW
    assert message["from"].addresses
    for part in message.walk():
        assert part.defects == []
        if part.get_content_maintype() == "text":
            assert "\ufffd" not in part.get_content()
        check_file(part)


def check_file(part: EmailMessage) -> None:
    kind = part.get_content_type()
    if kind == "application/pdf":
        data = part.get_content()
        start = int(data.rsplit(b"startxref\n", 1)[1].split()[0])
        assert data[start : start + 4] == b"xref"
    elif kind == "image/png":
        Image.open(io.BytesIO(part.get_content())).verify()
    elif kind == "application/zip":
        assert zipfile.ZipFile(io.BytesIO(part.get_content())).testzip() is None
    elif kind == "text/calendar":
        lines = part.get_content().splitlines()
        assert lines[:1] + lines[-1:] == ["BEGIN:VCALENDAR", "END:VCALENDAR"]


def test_message_ids_are_unique() -> None:
    for owner in MAILBOXES:
        ids = [letter.message_id() for letter in letters_of(owner, NOW)]
        assert len(ids) == len(set(ids))
