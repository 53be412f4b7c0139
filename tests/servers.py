"""Real mail servers on loopback, each a context manager: Dovecot (IMAP, POP3, LMTP), an SMTP server, pymap.

    with Dovecot() as dovecot, SMTPServer(deliver_to=dovecot) as smtp:
        store = IMAPStore(dovecot.imap(), Credentials("anybody", PASSWORD))

Any user exists, with PASSWORD and an empty account of their own, so that a test takes a name nobody else has. Servers
listen on free ports of 127.0.0.1 and keep everything in a temporary directory. They run as root and as anyone else.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import datetime
import getpass
import grp
import ipaddress
import os
import pwd
import shutil
import signal
import smtplib
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP as SMTPProtocol
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pysasl.hashing import BuiltinHash

from webmail.protocols.base import Security, Server

PASSWORD = "secret"
UNICODE_USER, UNICODE_PASSWORD = "unicode", 'pæss wørd\\"€'

START_LIMIT = 20.0  # seconds after which a server that does not answer has failed

FULL = ""  # whatever Dovecot has
CAPABILITY_SETS = {
    "full": FULL,
    "no-qresync": "IMAP4rev1 SASL-IR LITERAL+ ENABLE IDLE NAMESPACE UIDPLUS LIST-EXTENDED CONDSTORE ESEARCH MOVE "
    "SPECIAL-USE LIST-STATUS QUOTA UNSELECT",
    "no-condstore": "IMAP4rev1 LITERAL- IDLE NAMESPACE UIDPLUS MOVE CHILDREN UNSELECT",
    "bare": "IMAP4rev1",
}  # fmt: skip


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


@dataclass(frozen=True)
class Certificate:
    """A certificate for localhost that vouches for itself: give ``certificate`` as ``ca_file``."""

    certificate: str
    key: str

    @classmethod
    def create(cls, directory: Path, expired: bool = False, name: str = "localhost") -> Certificate:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = datetime.datetime.now(datetime.UTC)
        start, end = now - datetime.timedelta(days=30), now + datetime.timedelta(days=-1 if expired else 30)
        names: list[x509.GeneralName] = [x509.DNSName(name)]
        if name == "localhost":
            names.append(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
        usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
        built = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(end)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        certificate_file, key_file = directory / "certificate.pem", directory / "key.pem"
        certificate_file.write_bytes(built.public_bytes(serialization.Encoding.PEM))
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        key_file.write_bytes(private)
        return cls(str(certificate_file), str(key_file))

    def context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        return context


class _Temporary:
    """A temporary directory for as long as the context lasts."""

    def __enter__(self) -> Self:
        self.directory = Path(tempfile.mkdtemp(prefix="postkasse-"))
        self.directory.chmod(0o755)
        try:
            self.start()
        except BaseException:
            shutil.rmtree(self.directory, ignore_errors=True)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def start(self) -> None:
        raise NotImplementedError

    def stop(self) -> None:
        raise NotImplementedError


def _await_port(port: int, process: subprocess.Popen[bytes] | None, log: Callable[[], str]) -> None:
    """Until somebody listens; there is nothing to wait on but the port itself."""
    deadline = time.monotonic() + START_LIMIT
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if (process and process.poll() is not None) or time.monotonic() > deadline:
                raise RuntimeError(f"the server did not start: {log()}") from None
            time.sleep(0.01)


def _end(process: subprocess.Popen[bytes]) -> None:
    """The server and all it started: its children would otherwise serve their clients to the end."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(10)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


@dataclass
class Dovecot(_Temporary):
    """Dovecot with IMAP, POP3 (plain with STARTTLS, and TLS) and LMTP.

    ``capabilities`` replaces what IMAP offers; ``prefix`` and ``delimiter`` shape mailbox names; ``quota`` is in
    octets for each user; ``mailboxes`` have their SPECIAL-USE attributes unless ``special_use`` is off."""

    capabilities: str = FULL
    storage: str = "sdbox"  # or maildir
    delimiter: str = "/"
    prefix: str = ""
    special_use: bool = True
    mailboxes: dict[str, str] = field(
        default_factory=lambda: {
            "Drafts": "\\Drafts",
            "Sent": "\\Sent",
            "Archive": "\\Archive",
            "Junk": "\\Junk",
            "Trash": "\\Trash",
        }
    )
    quota: int | None = None
    expired: bool = False
    plaintext: bool = True  # whether signing in is allowed before TLS
    users: dict[str, str] = field(default_factory=lambda: {UNICODE_USER: UNICODE_PASSWORD})
    settings: str = ""  # further configuration

    def start(self) -> None:
        """Start, or start again on the same ports with the same mail."""
        if not hasattr(self, "imap_port"):
            self._prepare()
        self._process = subprocess.Popen(
            [_dovecot(), "-F", "-c", str(self.directory / "dovecot.conf")],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            for port in (self.imap_port, self.pop3_port, self.lmtp_port):
                _await_port(port, self._process, self.log)
        except BaseException:
            self.stop()
            raise

    def _prepare(self) -> None:
        self.imap_port, self.imaps_port = free_port(), free_port()
        self.pop3_port, self.pop3s_port, self.lmtp_port = free_port(), free_port(), free_port()
        self.certificate = Certificate.create(self.directory, self.expired)
        self._owner = "nobody" if os.getuid() == 0 else getpass.getuser()
        homes = self.directory / "homes"
        homes.mkdir()
        if os.getuid() == 0:
            entry = pwd.getpwnam(self._owner)
            os.chown(homes, entry.pw_uid, entry.pw_gid)
        # Not only ":" ends a field of this file, so the password goes in encoded.
        lines = (f"{user}:{{PLAIN.B64}}{_b64(password)}::::::" for user, password in self.users.items())
        (self.directory / "passwd").write_text("\n".join(lines) + "\n")
        (self.directory / "dovecot.conf").write_text(self._configuration())

    def stop(self) -> None:
        _end(self._process)

    def log(self) -> str:
        path = self.directory / "dovecot.log"
        return path.read_text(errors="replace")[-4000:] if path.exists() else "no log"

    def imap(self, security: Security = Security.PLAIN, **changes: Any) -> Server:
        port = self.imaps_port if security is Security.TLS else self.imap_port
        return self._server("imap", port, security, changes)

    def pop3(self, security: Security = Security.PLAIN, **changes: Any) -> Server:
        port = self.pop3s_port if security is Security.TLS else self.pop3_port
        return self._server("pop3", port, security, changes)

    def _server(self, protocol: str, port: int, security: Security, changes: dict[str, Any]) -> Server:
        server = Server(protocol, "localhost", port, security, ("127.0.0.1",), self.certificate.certificate, 20.0)
        return replace(server, **changes)

    def deliver(self, user: str, raw: bytes) -> None:
        """A message arrives from outside, by LMTP."""
        with smtplib.LMTP("127.0.0.1", self.lmtp_port) as lmtp:
            lmtp.sendmail("sender@example.org", [user], raw)

    def _configuration(self) -> str:
        directory, owner = self.directory, self._owner
        group = grp.getgrgid(pwd.getpwnam(owner).pw_gid).gr_name
        internal = "" if os.getuid() == 0 else _UNPRIVILEGED.format(owner=owner, group=group)
        location = f"{self.storage}:~/mail" + (":LAYOUT=fs" if self.storage == "maildir" else "")
        boxes = "".join(
            f"mailbox {name} {{\n auto = subscribe\n"
            + (f" special_use = {attribute}\n" if self.special_use and attribute else "")
            + "}\n"
            for name, attribute in self.mailboxes.items()
        )
        return _CONFIGURATION.format(
            directory=directory, owner=owner, group=group, internal=internal, location=location, boxes=boxes,
            delimiter=self.delimiter, prefix=self.prefix, imap_port=self.imap_port, imaps_port=self.imaps_port,
            pop3_port=self.pop3_port, pop3s_port=self.pop3s_port, lmtp_port=self.lmtp_port, password=PASSWORD,
            certificate=self.certificate.certificate, key=self.certificate.key,
            plaintext="no" if self.plaintext else "yes",
            capability=f"imap_capability = {self.capabilities}" if self.capabilities else "",
            quota=_QUOTA.format(octets=self.quota) if self.quota else "", settings=self.settings,
        )  # fmt: skip


def _b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _dovecot() -> str:
    found = shutil.which("dovecot") or shutil.which("dovecot", path="/usr/sbin:/usr/local/sbin")
    if not found:
        raise RuntimeError("dovecot is not installed")
    return found


_UNPRIVILEGED = """
default_internal_user = {owner}
default_internal_group = {group}
default_login_user = {owner}
service anvil {{
  chroot =
}}
service imap-login {{
  chroot =
}}
service pop3-login {{
  chroot =
}}
service stats {{
  chroot =
}}
"""

_QUOTA = """
mail_plugins = quota
protocol imap {{
  mail_plugins = quota imap_quota
}}
plugin {{
  quota = count:User quota
  quota_vsizes = yes
  quota_rule = *:storage={octets}B
}}
"""

_CONFIGURATION = """
base_dir = {directory}/run
state_dir = {directory}/state
log_path = {directory}/dovecot.log
protocols = imap pop3 lmtp
listen = 127.0.0.1
{internal}
ssl = yes
ssl_cert = <{certificate}
ssl_key = <{key}
disable_plaintext_auth = {plaintext}
auth_mechanisms = plain login
auth_failure_delay = 0
auth_cache_size = 0
login_trusted_networks =
mail_max_userip_connections = 200
pop3_uidl_format = %08Xu%08Xv
passdb {{
  driver = passwd-file
  args = {directory}/passwd
}}
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={owner} gid={group} home={directory}/homes/%u
}}
first_valid_uid = 1
first_valid_gid = 1
mail_location = {location}
mail_fsync = never
namespace inbox {{
  inbox = yes
  separator = {delimiter}
  prefix = {prefix}
  {boxes}
}}
service imap-login {{
  service_count = 0
  inet_listener imap {{
    port = {imap_port}
  }}
  inet_listener imaps {{
    port = {imaps_port}
    ssl = yes
  }}
}}
service pop3-login {{
  service_count = 0
  inet_listener pop3 {{
    port = {pop3_port}
  }}
  inet_listener pop3s {{
    port = {pop3s_port}
    ssl = yes
  }}
}}
service lmtp {{
  inet_listener lmtp {{
    port = {lmtp_port}
  }}
}}
service imap {{
  service_count = 100
}}
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
{capability}
{quota}
{settings}
"""


# --- SMTP -------------------------------------------------------------------------------------------------------------


@dataclass
class Received:
    """One accepted message."""

    sender: str
    recipients: list[str]
    raw: bytes
    user: str | None
    options: list[str]


class _Protocol(SMTPProtocol):
    """aiosmtpd with the ways to fail that a test may ask for."""

    event_handler: SMTPServer

    async def smtp_DATA(self, arg: str) -> None:
        if self.event_handler.drop_before_dot:
            await self.push("354 go ahead")
            await self._reader.readline()
            self._abort(self)
            return
        await super().smtp_DATA(arg)

    @staticmethod
    def _abort(protocol: SMTPProtocol) -> None:
        assert isinstance(protocol.transport, asyncio.Transport)
        protocol.transport.abort()


class _Controller(Controller):
    def factory(self) -> SMTPProtocol:
        return _Protocol(self.handler, **self.SMTP_kwargs)


@dataclass
class SMTPServer(_Temporary):
    """A submission server that knows any user with PASSWORD, or a token that reads "token".

    ``refuse`` maps recipients to replies; ``reply`` is said to the message itself instead of taking it;
    ``drop_before_dot`` and ``drop_after_dot`` end the connection there. What is accepted is in ``received``, and is
    delivered into ``deliver_to`` for recipients at one of ``domains``."""

    security: Security = Security.PLAIN
    auth: bool = True
    mechanisms: tuple[str, ...] = ("PLAIN", "LOGIN", "XOAUTH2", "OAUTHBEARER")
    size: int | None = None
    unicode: bool = True
    expired: bool = False
    deliver_to: Dovecot | None = None
    domains: tuple[str, ...] = ("postkasse.test",)
    refuse: dict[str, str] = field(default_factory=dict)
    reply: str = ""
    drop_before_dot: bool = False
    drop_after_dot: bool = False
    received: list[Received] = field(default_factory=list)

    def start(self) -> None:
        self.certificate = Certificate.create(self.directory, self.expired)
        self.port = free_port()
        context = self.certificate.context()
        known = {"PLAIN", "LOGIN", "XOAUTH2", "OAUTHBEARER"}
        self._controller = _Controller(
            self,
            hostname="127.0.0.1",
            port=self.port,
            ssl_context=context if self.security is Security.TLS else None,
            tls_context=context if self.security is Security.STARTTLS else None,
            require_starttls=self.security is Security.STARTTLS,
            auth_require_tls=self.security is Security.STARTTLS,
            auth_required=self.auth and self.security is Security.STARTTLS,
            auth_exclude_mechanism=known - set(self.mechanisms),
            authenticator=self._authenticate,
            data_size_limit=self.size,
            enable_SMTPUTF8=self.unicode,
            ident="sample",
        )
        self._controller.start()

    def stop(self) -> None:
        self._controller.stop()

    def clear(self) -> None:
        """As new, for the next test."""
        self.received.clear()
        self.refuse.clear()
        self.reply = ""
        self.drop_before_dot = self.drop_after_dot = False

    def server(self, **changes: Any) -> Server:
        ca_file = self.certificate.certificate
        server = Server("smtp", "localhost", self.port, self.security, ("127.0.0.1",), ca_file, 20.0)
        return replace(server, **changes)

    # --- aiosmtpd's hooks ---

    def _authenticate(
        self, server: SMTPProtocol, session: Session, envelope: Envelope, mechanism: str, data: Any
    ) -> AuthResult:
        assert isinstance(data, LoginPassword)
        user, password = data.login.decode(), data.password.decode()
        right = UNICODE_PASSWORD if user == UNICODE_USER else PASSWORD
        return AuthResult(success=password == right, auth_data=user, handled=False)

    async def auth_XOAUTH2(self, server: SMTPProtocol, args: list[str]) -> AuthResult | None:
        fields = base64.b64decode(args[1]).decode().split("\1")
        return await self._token(server, fields[0].removeprefix("user="), fields[1], b"")

    async def auth_OAUTHBEARER(self, server: SMTPProtocol, args: list[str]) -> AuthResult | None:
        fields = base64.b64decode(args[1]).decode().split("\1")
        return await self._token(server, fields[0].removeprefix("n,a=").rstrip(","), fields[3], b"\1")

    async def _token(self, server: SMTPProtocol, user: str, bearer: str, expected: bytes) -> AuthResult | None:
        if bearer == "auth=Bearer token":
            return AuthResult(success=True, auth_data=user)
        answer = await server.challenge_auth(b'{"status":"invalid_token"}')
        assert answer == expected
        return AuthResult(success=False, handled=False)

    async def handle_RCPT(
        self, server: SMTPProtocol, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self.refuse:
            return self.refuse[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTPProtocol, session: Session, envelope: Envelope) -> str:
        if self.reply:
            return self.reply
        raw = envelope.original_content or b""
        assert isinstance(raw, bytes)
        user = session.auth_data if isinstance(session.auth_data, str) else None
        sender, recipients = envelope.mail_from or "", list(envelope.rcpt_tos)
        self.received.append(Received(sender, recipients, raw, user, list(envelope.mail_options)))
        if self.deliver_to:
            for recipient in recipients:
                if recipient.rpartition("@")[2] in self.domains:
                    await asyncio.to_thread(self.deliver_to.deliver, recipient, raw)
        if self.drop_after_dot:
            _Protocol._abort(server)
        return "250 OK: taken"


# --- pymap ------------------------------------------------------------------------------------------------------------


@dataclass
class Pymap(_Temporary):
    """A second IMAP server, of quite another making, on maildirs; knows ``users``, with PASSWORD."""

    users: Iterable[str] = tuple(f"user{number}" for number in range(200))

    def start(self) -> None:
        self.port = free_port()
        base = self.directory / "mail"
        base.mkdir()
        self._write_users(base)
        command = [
            sys.executable,
            "-c",
            "import pymap.main, sys; sys.exit(pymap.main.main())",
            "--host",
            "127.0.0.1",
            "--port",
            str(self.port),
            "--no-tls",
        ]
        self._log = (self.directory / "log").open("wb")
        self._process = subprocess.Popen(
            [*command, "--no-service", "admin", "--no-service", "managesieve", "maildir", str(base)],
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )
        try:
            _await_port(self.port, self._process, lambda: (self.directory / "log").read_text())
        except BaseException:
            self.stop()
            raise

    def _write_users(self, base: Path) -> None:
        secret = BuiltinHash(rounds=1).hash(PASSWORD)
        (base / "pymap-etc-passwd").write_text("".join(f"{user}:x::::{user}:\n" for user in self.users))
        (base / "pymap-etc-shadow").write_text("".join(f"{user}:{secret}:::::::\n" for user in self.users))

    def stop(self) -> None:
        _end(self._process)
        self._log.close()

    def imap(self, **changes: Any) -> Server:
        server = Server("imap", "localhost", self.port, Security.PLAIN, ("127.0.0.1",), timeout=20.0)
        return replace(server, **changes)
