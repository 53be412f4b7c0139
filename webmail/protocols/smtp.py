"""SMTP submission (RFC 6409, RFC 5321) as base.Transport, on smtplib (its only user).

smtplib speaks the commands; the socket, TLS, SASL and every bound are ours, and so is DATA: smtplib's would read the
whole message into memory and cannot tell whether the final dot went out. Used where offered: SIZE, 8BITMIME, SMTPUTF8,
PIPELINING, CHUNKING, DSN, ENHANCEDSTATUSCODES.
"""

from __future__ import annotations

import contextlib
import os
import re
import smtplib
import socket
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, BinaryIO, Self

from webmail.protocols.base import Credentials, Envelope, Security, Server, Submitted
from webmail.protocols.errors import (
    NO_SIGN_IN,
    AuthenticationFailed,
    DeliveryUncertain,
    InsecureConnection,
    MailError,
    MessageRefused,
    NoRoom,
    NoRoomYet,
    ProtocolError,
    RecipientsRefused,
    Refused,
    TooLarge,
    Unavailable,
    Unreachable,
)
from webmail.protocols.network import (
    BLOCK,
    Reader,
    abandon,
    b64,
    clean_argument,
    clean_detail,
    connect,
    network_error,
    nothing_injected,
    sasl_choice,
    sasl_initial,
    secure,
    unrepeated,
)

LINE_LIMIT = 8 * 1024  # octets of one reply line; RFC 5321 §4.5.3.1.5 says 512, servers do not all listen
LINES_LIMIT = 200  # lines of one reply
INITIAL_LIMIT = 480  # octets of an initial response in the AUTH command, RFC 4954 §4 with RFC 5321 §4.5.3.1.4
CHUNK_LIMIT = 1024 * 1024  # octets of one BDAT
CHUNKS_AHEAD = 8  # sent before the answer to the first is read
PIPELINE_LIMIT = 50  # RCPT commands sent ahead of their replies, so that neither side's buffer fills up

_ENHANCED = re.compile(r"\s*([245]\.\d{1,3}\.\d{1,3})\b")
_ABOUT_ADDRESS = re.compile(r" 5\.[124]\.")  # RFC 3463 §3.2, §3.3, §3.5: an address, a mailbox, the way to it
_BARE = re.compile(rb"\r\n|\r|\n")


class _SMTP(smtplib.SMTP):
    """smtplib on our socket and with bounded replies."""

    sock: Any  # a socket, or None when closed; smtplib's own declarations do not let it be one of ours
    file: Any  # a Reader

    def __init__(self, server: Server, local_name: str) -> None:
        self._server = server
        super().__init__(local_hostname=local_name, timeout=server.timeout)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        return connect(self._server)

    def getreply(self) -> tuple[int, bytes]:
        if self.file is None:
            self.file = Reader(self.sock, LINE_LIMIT, LINES_LIMIT)
        self.file.restart()
        return super().getreply()

    def encrypt(self) -> None:
        """STARTTLS (RFC 3207 §4), demanded."""
        if not self.has_extn("starttls"):
            raise InsecureConnection("the server does not offer STARTTLS", "TLS")
        code, reply = self.docmd("STARTTLS")
        if 400 <= code <= 499:
            raise reply_error(code, reply)  # RFC 3207 §4: for the moment; never without it meanwhile
        if code != 220:
            raise InsecureConnection(clean_detail(reply), str(code))
        nothing_injected(self.file.buffered())
        self.sock = secure(self.sock, self._server)
        # RFC 3207 §4.2: forget everything that was heard in the clear.
        self.file = self.ehlo_resp = self.helo_resp = None
        self.esmtp_features = {}
        self.does_esmtp = False


class SMTPTransport:
    """One submission connection; ``credentials`` None submits without signing in."""

    def __init__(self, server: Server, credentials: Credentials | None, local_name: str = "localhost") -> None:
        self._server = server
        self._in_step = (
            True  # False in the middle of a message: nothing but the end of the connection would be understood
        )
        self._smtp = _SMTP(server, clean_argument(local_name))
        try:
            with smtp_errors():
                code, reply = self._smtp.connect(server.host, server.port)
                if code != 220:
                    raise reply_error(code, reply)
                self._greet()
                if server.security is Security.STARTTLS:
                    self._smtp.encrypt()
                    self._greet()
                if credentials:
                    with unrepeated(credentials):
                        self._authenticate(credentials)
        except BaseException:
            self._abandon()
            raise
        size = self._smtp.esmtp_features.get("size", "").strip()
        self.max_size = int(size) or None if re.fullmatch("[0-9]{1,20}", size) else None  # RFC 1870 §4

    @property
    def usable(self) -> bool:
        return self._smtp.sock is not None

    def _greet(self) -> None:  # RFC 5321 §4.1.1.1
        code, reply = self._smtp.ehlo()
        if not 200 <= code <= 299:
            code, reply = self._smtp.helo()
        if not 200 <= code <= 299:
            raise reply_error(code, reply)
        for word in self._server.without - {"STARTTLS"}:  # that one is demanded or not, and never just left out
            self._smtp.esmtp_features.pop(word.lower(), None)

    # --- signing in, RFC 4954 ---

    def _authenticate(self, credentials: Credentials) -> None:
        offered = frozenset(self._smtp.esmtp_features.get("auth", "").upper().split())
        mechanism = sasl_choice(offered, credentials)
        if not mechanism:
            raise AuthenticationFailed("the server offers no sign-in that we know on this connection", NO_SIGN_IN)
        if mechanism == "LOGIN":
            answers = [clean_argument(credentials.user).encode(), clean_argument(credentials.secret).encode()]
        else:
            answers = [sasl_initial(mechanism, credentials, self._server)]
        words = [b64(answer).decode() for answer in answers]
        if mechanism != "LOGIN" and len(words[0]) <= INITIAL_LIMIT:
            code, reply = self._smtp.docmd("AUTH", f"{mechanism} {words.pop(0)}")
        else:
            code, reply = self._smtp.docmd("AUTH", mechanism)
        report = b""
        while code == 334:
            if not words:  # OAuth's error report, which wants an answer before the refusal comes (RFC 7628 §3.2.3)
                report, words = reply, ["AQ==" if mechanism == "OAUTHBEARER" else ""]
                if mechanism in ("PLAIN", "LOGIN"):
                    raise ProtocolError("the server asks on after the sign-in")
            code, reply = self._smtp.docmd(words.pop(0))
            if report and code == 334:
                raise ProtocolError("the server asks on after the sign-in")
        if code != 235:
            error = reply_error(code, reply)
            raise error if error.retryable else AuthenticationFailed(error.detail, error.code)

    # --- submitting ---

    def submit(
        self,
        envelope: Envelope,
        raw: BinaryIO,
        before_data: Callable[[], None] | None = None,
        meanwhile: Callable[[], None] | None = None,
        at_last: Callable[[], None] | None = None,
    ) -> Submitted:
        sender, recipients = self._addresses(envelope)
        size, eight_bit = _measure(raw)
        if self.max_size and size > self.max_size:
            raise TooLarge(f"the message has {size} octets, the server takes {self.max_size}", "SIZE")
        if self._smtp.sock is None:
            raise Unreachable("the connection was lost earlier")
        unicode_needed = not all(map(str.isascii, (sender, *recipients.values())))
        notify = envelope.notify and self._smtp.has_extn("dsn")
        mail_from = self._mail_from(sender, size, eight_bit, unicode_needed)
        if notify:  # RFC 3461 §4.3, §4.4
            mail_from += " RET=HDRS" + (f" ENVID={_xtext(envelope.message_id)}" if envelope.message_id else "")
        try:
            with smtp_errors():
                refused = self._envelope(mail_from, recipients, notify, meanwhile or _nothing)
            send = self._send_chunks if self._smtp.has_extn("chunking") else self._send_data
            try:
                reply = self._finish(send(raw, before_data or _nothing), at_last or _nothing)
            except Refused as error:
                # It said nothing nearer, and no to nothing but the message.
                if type(error) is Refused and not _ABOUT_ADDRESS.search(error.code):
                    raise MessageRefused(error.detail, error.code) from error
                raise
        except BaseException as error:
            if not isinstance(error, MailError) or error.connection_lost or error.code.startswith("421"):
                self._abandon()  # 421: the server closes the connection, RFC 5321 §3.8
            elif not self._in_step:
                self._abandon()
            else:
                self._reset()
            raise
        later = {address: words for address, words in refused.items() if words.startswith("4")}  # RFC 5321 §4.2.1
        return Submitted({a: words for a, words in refused.items() if a not in later}, reply, notify, later)

    def _addresses(self, envelope: Envelope) -> tuple[str, dict[str, str]]:
        """Sender and, by recipient, the address as it goes into the command."""
        if not envelope.recipients:
            raise Refused("there is no recipient")
        unicode_offered = self._smtp.has_extn("smtputf8")
        return (
            _address(envelope.sender, unicode_offered),
            {recipient: _address(recipient, unicode_offered) for recipient in envelope.recipients},
        )

    def _mail_from(self, sender: str, size: int, eight_bit: bool, unicode_needed: bool) -> str:  # RFC 5321 §4.1.1.2
        words = [f"MAIL FROM:<{sender}>"]
        if self._smtp.has_extn("size"):
            words.append(f"SIZE={size}")  # RFC 1870 §5
        if eight_bit and self._smtp.has_extn("8bitmime"):
            words.append("BODY=8BITMIME")  # RFC 6152 §3
        if unicode_needed:
            words.append("SMTPUTF8")  # RFC 6531 §3.4
        return " ".join(words)

    def _envelope(
        self, mail_from: str, recipients: dict[str, str], notify: bool, meanwhile: Callable[[], None]
    ) -> dict[str, str]:
        """MAIL and RCPT; the replies of recipients that were not accepted. Raises if nobody was."""
        pipelining = self._smtp.has_extn("pipelining")  # RFC 2920
        replies: dict[str, tuple[int, bytes]] = {}
        if not pipelining:
            self._command(mail_from)
            meanwhile()
            self._expect(self._smtp.getreply())
        for start in range(0, len(recipients), PIPELINE_LIMIT):
            batch = list(recipients)[start : start + PIPELINE_LIMIT]
            commands = [f"RCPT TO:<{recipients[one]}>{_notify(recipients[one]) if notify else ''}" for one in batch]
            if pipelining:
                first = [mail_from] if start == 0 else []
                self._command("\r\n".join(first + commands))
                if first:
                    meanwhile()
                answers = [self._smtp.getreply() for _ in first + commands]
                if first:
                    self._expect(answers.pop(0))
            else:
                answers = [self._asked(command) for command in commands]
            replies.update(zip(batch, answers, strict=True))
        refused = {address: reply for address, reply in replies.items() if not 200 <= reply[0] <= 299}
        closing = next((reply for reply in refused.values() if reply[0] == 421), None)
        if closing:
            raise reply_error(*closing)
        texts = {address: f"{code} {clean_detail(words)}" for address, (code, words) in refused.items()}
        if len(refused) == len(replies):
            if all(400 <= code <= 499 for code, _ in refused.values()):
                raise reply_error(*next(iter(refused.values())))
            raise RecipientsRefused(texts, code=_codes(*next(iter(refused.values()))))
        return texts

    def _asked(self, command: str) -> tuple[int, bytes]:
        self._command(command)
        return self._smtp.getreply()

    def _command(self, line: str) -> None:
        self._smtp.send(f"{line}\r\n".encode())

    @staticmethod
    def _expect(reply: tuple[int, bytes]) -> None:
        if not 200 <= reply[0] <= 299:
            raise reply_error(*reply)

    def _send_data(self, raw: BinaryIO, before_data: Callable[[], None]) -> bytes:  # RFC 5321 §4.1.1.4
        """All but what it returns: until the final dot is out, nothing has been handed over."""
        with smtp_errors():
            self._in_step = False
            self._command("DATA")
            before_data()  # while the server makes up its mind
            code, reply = self._smtp.getreply()
            if code != 354:
                self._in_step = True
                raise reply_error(code, reply)
            raw.seek(0)
            for block in _stuffed(raw):
                self._push(block)
            self._nothing_said()
        return b".\r\n"

    def _send_chunks(self, raw: BinaryIO, before_data: Callable[[], None]) -> bytes:  # RFC 3030 §2
        """As BDAT: nothing is doubled and no leave is waited for. All but the very last octet, which it returns: until that
        is out, nothing has been handed over, since a server that has less of a chunk than was announced has no message."""
        ahead = CHUNKS_AHEAD if self._smtp.has_extn("pipelining") else 1  # RFC 3030 §4.2
        self._in_step = False
        raw.seek(0)
        with smtp_errors():
            chunk, owed, told = b"", 0, False
            for block in _whole_lines(raw, CHUNK_LIMIT):
                if chunk:
                    if not told:  # it takes its time
                        before_data()
                        told = True
                    self._push(b"BDAT %d\r\n" % len(chunk) + chunk)
                    owed += 1
                if owed == ahead:
                    self._expect(self._smtp.getreply())
                    owed -= 1
                chunk = block
            for _ in range(owed):
                self._expect(self._smtp.getreply())
            chunk = b"BDAT %d LAST\r\n" % len(chunk) + chunk
            self._push(chunk[:-1])
            if not told:  # while the server reads
                before_data()
            self._nothing_said()
        return chunk[-1:]

    def _push(self, octets: bytes) -> None:
        """Part of a message. A server that has had enough of it says why before it hangs up; that is what is raised."""
        try:
            self._smtp.sock.sendall(octets)
        except OSError:
            self._nothing_said()
            raise

    def _nothing_said(self) -> None:
        """A server that has given up by now has closed or spoken already. Looked at here, that is no uncertainty."""
        try:
            spoke = self._smtp.file.fill_without_waiting() or bool(self._smtp.file.buffered())
        except EOFError as error:
            raise Unreachable("the server closed the connection") from error
        if not spoke:
            return
        code, reply = self._smtp.getreply()
        if 500 <= code <= 599:
            raise reply_error(code, reply)
        raise Unreachable(clean_detail(reply), _codes(code, reply))

    def _finish(self, last: bytes, at_last: Callable[[], None]) -> str:
        """What completes the message, and the answer to it. Losing the connection from here on, or an answer that is none,
        leaves it open what happened."""
        try:
            with smtp_errors():
                self._smtp.sock.sendall(last)
                at_last()
                self._smtp.sock.settimeout(self._server.patience)
                code, reply = self._smtp.getreply()
                self._smtp.sock.settimeout(self._server.timeout)
        except MailError as error:
            raise DeliveryUncertain(error.detail, error.code) from error
        if not 200 <= code <= 299:
            if not 400 <= code <= 599:
                raise DeliveryUncertain(clean_detail(reply), _codes(code, reply))
            self._in_step = True
            raise reply_error(code, reply)
        self._in_step = True
        return f"{code} {clean_detail(reply)}"

    def _reset(self) -> None:
        """RSET, so that the next message can be tried on this connection."""
        try:
            with smtp_errors():
                code, _ = self._smtp.docmd("RSET")  # RFC 5321 §4.1.1.5
            if code != 250:
                self._abandon()
        except MailError:
            self._abandon()

    # --- the end ---

    def close(self) -> None:
        if self._smtp.sock is not None:
            with contextlib.suppress(OSError, smtplib.SMTPException, MailError):
                self._smtp.sock.settimeout(min(5.0, self._server.timeout))  # politeness has its limits
                self._smtp.docmd("QUIT")  # RFC 5321 §4.1.1.10
        self._abandon()

    def _abandon(self) -> None:
        abandon(self._smtp.sock)
        self._smtp.sock = None
        self._smtp.file = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _address(address: str, unicode_offered: bool) -> str:
    """The address as it goes into the command. Raises Refused, in words fit for the person."""
    clean_argument(address)
    if re.search(r"[<>\x00-\x1f\x7f]", address):
        raise Refused(f"{clean_detail(address)!r} is not an address")
    local, at, domain = address.rpartition("@")
    if not at:
        if address.isascii():
            return address  # "" is the null sender (RFC 5321 §4.5.5), "postmaster" needs no domain
        local, domain = address, ""
    if not local.isascii():
        if not unicode_offered:  # RFC 6531 §3.2
            raise Refused(f"this server cannot send to or from {address}: its own part has letters beyond ASCII")
        return address
    if domain.isascii():
        return address
    try:
        return f"{local}@{domain.encode('idna').decode('ascii')}"  # RFC 5890: every server can deliver this
    except UnicodeError as error:
        raise Refused(f"{domain} is not a domain") from error


def _measure(raw: BinaryIO) -> tuple[int, bool]:
    """Octets, and whether there are any beyond ASCII."""
    raw.seek(0)
    eight_bit = False
    while not eight_bit and (block := raw.read(BLOCK)):
        eight_bit = not block.isascii()
    return raw.seek(0, os.SEEK_END), eight_bit


def _nothing() -> None:
    """Before a message leaves whose caller does not want to know."""


def _xtext(text: str) -> str:  # RFC 3461 §4
    return "".join(c if "!" <= c <= "~" and c not in "+=" else "".join(f"+{o:02X}" for o in c.encode()) for c in text)


def _notify(recipient: str) -> str:  # RFC 3461 §4.1, §4.2; for letters beyond ASCII RFC 6533 §3
    kind = "rfc822" if recipient.isascii() else "utf-8"
    original = _xtext(recipient) if recipient.isascii() else _utf8_address(recipient)
    return f" NOTIFY=SUCCESS,FAILURE,DELAY ORCPT={kind};{original}"


def _utf8_address(address: str) -> str:  # RFC 6533 §3, utf-8-addr-xtext
    return "".join(c if "!" <= c <= "~" and c not in "+=\\" else f"\\x{{{ord(c):X}}}" for c in address)


def _whole_lines(raw: BinaryIO, size: int = BLOCK) -> Iterator[bytes]:
    """The message with a complete last line, and every line end CRLF: a bare one is what the next server may take for the
    end of the message (SMTP smuggling)."""
    carry, line_start = b"", True
    while block := raw.read(size):
        block = carry + block
        carry = b"\r" if block.endswith(b"\r") else b""  # its LF may be in the next block
        block = block.removesuffix(b"\r") if carry else block
        pairs = block.count(b"\r\n")
        if block.count(b"\r") != pairs or block.count(b"\n") != pairs:
            block = _BARE.sub(b"\r\n", block)
        if not block:
            continue
        yield block
        line_start = block.endswith(b"\n")
    if carry or not line_start:
        yield b"\r\n"


def _stuffed(raw: BinaryIO) -> Iterator[bytes]:
    """The message as DATA takes it: leading dots doubled (RFC 5321 §4.5.2)."""
    line_start = True
    for block in _whole_lines(raw):
        stuffed = block.replace(b"\n.", b"\n..")
        yield b"." + stuffed if line_start and block.startswith(b".") else stuffed
        line_start = block.endswith(b"\n")


# --- errors -----------------------------------------------------------------------------------------------------------


def _codes(code: int, reply: bytes | str) -> str:
    """The reply code with the enhanced one (RFC 3463) where there is one."""
    match = _ENHANCED.match(clean_detail(reply))
    return f"{code} {match.group(1)}" if match else str(code)


def reply_error(code: int, reply: bytes | str) -> MailError:
    """What a negative reply means (RFC 5321 §4.2, RFC 3463 §3)."""
    detail, codes = clean_detail(reply), _codes(code, reply)
    enhanced = codes.partition(" ")[2]
    if code == 421:  # the server closes the connection, RFC 5321 §3.8
        return Unavailable(detail, codes)
    full = enhanced[1:] in (".2.2", ".3.1")  # RFC 3463 §3.3, §3.4: a recipient's mailbox, or the server
    if 400 <= code <= 499:
        if code == 432:
            return AuthenticationFailed(detail, codes)
        return NoRoomYet(detail, codes) if full else Unavailable(detail, codes)
    if code in (530, 534, 535, 538):  # RFC 4954 §6
        return AuthenticationFailed(detail, codes)
    if full:
        return NoRoom(detail, codes)
    if code in (523, 552) or enhanced in ("5.3.4", "5.2.3"):  # RFC 1870 §6.1, RFC 5321 §4.2.3
        return TooLarge(detail, codes)
    if 500 <= code <= 599:
        return Refused(detail, codes)
    return ProtocolError(detail, codes)


@contextlib.contextmanager
def smtp_errors() -> Iterator[None]:
    """Everything below turns into the MailError tree here, and nowhere else."""
    try:
        yield
    except smtplib.SMTPServerDisconnected as error:
        cause = error.__context__  # smtplib keeps only the words of what happened
        if isinstance(cause, OSError):
            raise network_error(cause) from error
        raise Unreachable("the server closed the connection") from error
    except smtplib.SMTPResponseException as error:
        raise reply_error(error.smtp_code, error.smtp_error) from error
    except OSError as error:  # SMTPException is one
        if isinstance(error, smtplib.SMTPException):
            raise ProtocolError(clean_detail(error)) from error
        raise network_error(error) from error
    except EOFError as error:
        raise Unreachable("the server closed the connection") from error
