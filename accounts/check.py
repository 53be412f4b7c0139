"""The connection check: each step towards both servers of an account, which one fails, and what usually mends it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

from django.conf import settings
from django.utils.translation import gettext as _

from accounts.discovery import MAX_ADDRESSES, ServerURL, resolve, ways_out
from accounts.models import Account
from accounts.troubles import explain
from webmail.protocols.base import Security
from webmail.protocols.errors import AuthenticationFailed, InsecureConnection, MailError, Refused, Unreachable
from webmail.protocols.probe import Step, probe

TIMEOUT = 8.0  # seconds, each read and write: somebody is waiting for the page
# A server that answers slowly must not hold every thread of the pages.
_checks = threading.BoundedSemaphore(3)
CHECK_WAIT = 5.0  # seconds


@dataclass(frozen=True, slots=True)
class Line:
    """One step as the page tells it; ``advice`` only where it failed."""

    title: str
    well: bool
    detail: str = ""
    advice: str = ""
    milliseconds: int = 0


@dataclass(frozen=True, slots=True)
class Side:
    """All steps towards one server; ``to_come`` are those that a failure kept from being tried."""

    title: str
    url: str
    lines: tuple[Line, ...]
    to_come: tuple[str, ...]

    @property
    def well(self) -> bool:
        return not self.to_come and all(line.well for line in self.lines)


def check(account: Account) -> list[Side]:
    """Both sides, one after the other; TIMEOUT bounds each step. At most a few checks are made at the same time."""
    incoming, outgoing = _("Incoming mail"), _("Outgoing mail")
    if not _checks.acquire(timeout=CHECK_WAIT):
        busy = Line(_("Too many connections are being checked at once"), False, advice=_("Try again in a minute."))
        sides = [(incoming, account.incoming), (outgoing, account.outgoing)]
        return [Side(title, url, (busy,), ()) for title, url in sides if url]
    try:
        return [_side(account, incoming, ServerURL.parse(account.incoming)), *_ways_out(account, outgoing)]
    finally:
        _checks.release()


def _ways_out(account: Account, title: str) -> Iterator[Side]:
    """The one there is; of a guess each, up to the first that goes well, which is remembered."""
    if not account.outgoing:
        return
    known = ServerURL.parse(account.outgoing)
    for url in [known] if account.outgoing_settled else ways_out(known):
        side = _side(account, title, url)
        yield side
        if side.well:
            account.settle_on(url)
            return


def _titles(url: ServerURL) -> dict[str, str]:
    titles = {"name": _("The server's name is known"), "port": _("Port %(port)d answers") % {"port": url.port}}
    if url.security is Security.TLS:
        titles["tls"] = _("The connection is encrypted and the certificate is good")
    titles["greeting"] = _("The server greets as %(protocol)s does") % {"protocol": url.protocol.upper()}
    if url.security is Security.STARTTLS:
        titles["tls"] = _("The connection becomes encrypted (STARTTLS) and the certificate is good")
    titles["sign-in"] = _("It accepts the user name and password")
    titles["offer"] = _("It says what it can do")
    return titles


def _failed(url: ServerURL, step: str, error: MailError) -> str:
    """What did not work, where the titles above say what should."""
    if step == "name":
        return _("The server may not be asked") if isinstance(error, Refused) else _("The server's name leads nowhere")
    if step == "port":
        return _("Port %(port)d does not answer") % {"port": url.port}
    if step == "tls" or isinstance(error, InsecureConnection):
        return _("No safe encryption")
    if step == "greeting":
        return _("The server does not greet as %(protocol)s does") % {"protocol": url.protocol.upper()}
    if isinstance(error, AuthenticationFailed):
        return _("It refuses the user name or password")
    return _("Signing in did not work") if step == "sign-in" else _("It does not say what it can do")


def _side(account: Account, title: str, url: ServerURL) -> Side:
    titles = _titles(url)
    lines = []
    for step in _steps(account, url):
        done, error, milliseconds = titles.pop(step.name), step.error, round(step.seconds * 1000)
        if step.name == "offer" and url.protocol == "smtp":
            account.learn_limit(step.max_size)
        if error is None:
            lines.append(Line(done, True, step.detail, milliseconds=milliseconds))
        else:
            advice = _advice(url, step.name, error)
            lines.append(Line(_failed(url, step.name, error), False, error.detail, advice, milliseconds))
    return Side(title, str(url), tuple(lines), tuple(titles.values()))


def _steps(account: Account, url: ServerURL) -> Iterator[Step]:
    began = time.monotonic()
    try:
        server = replace(resolve(url), timeout=TIMEOUT)
        addresses = server.addresses or _addresses(url)
        credentials = account.credentials_for(url.host)
    except MailError as error:
        name = "sign-in" if isinstance(error, AuthenticationFailed) else "name"
        yield Step(name, error=error, seconds=time.monotonic() - began)
        return
    yield Step("name", ", ".join(addresses), seconds=time.monotonic() - began)
    yield from probe(server, credentials, settings.EHLO_NAME)


def _addresses(url: ServerURL) -> tuple[str, ...]:
    """Of a server in the operator's table, whose name is looked up only when it is connected to. Raises Unreachable."""
    try:
        found = socket.getaddrinfo(url.host, url.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise Unreachable(str(error)) from error
    return tuple(dict.fromkeys(str(info[4][0]) for info in found))[:MAX_ADDRESSES]


def _advice(url: ServerURL, step: str, error: MailError) -> str:
    """What usually mends it."""
    if step == "name":
        if isinstance(error, Refused):
            return _(
                "The address is one inside a private network. The operator of this site can allow it in the table of "
                "servers."
            )
        return _(
            "Check the spelling of the server's name. If it is right, the name servers may be away for the moment."
        )
    if step == "port":
        return _port_advice(url, error)
    if step == "tls" or isinstance(error, InsecureConnection):
        return _(
            "The certificate may be expired, made for another name, or signed by somebody unknown. Compare the "
            "server's name with the one your provider gives; port and kind of encryption must fit each other too."
        )
    if step == "greeting":
        return _(
            "Something else listens on this port, or it expects encryption from the first byte. Check the port "
            "and the kind of encryption."
        )
    if isinstance(error, AuthenticationFailed):
        return _(
            "Type the password again. Some providers want an app password made on their website, or that IMAP, "
            "POP3 and SMTP are switched on there first."
        )
    return explain(error, url.host).advice


def _port_advice(url: ServerURL, error: MailError) -> str:
    silent = isinstance(error, Unreachable) and error.code == "TIMEOUT"
    if url.protocol == "smtp" and url.port in (25, 465, 587):
        others = ", ".join(str(port) for port in (465, 587) if port != url.port)
        return _(
            "Many networks close port %(port)d to keep spam in. Try port %(others)s, or ask whoever runs this "
            "network or hosts this site to open it."
        ) % {"port": url.port, "others": others}
    if silent:
        return _(
            "Nothing comes back, as behind a firewall that drops what it does not allow. Ask whoever runs this "
            "network or hosts this site to open port %(port)d."
        ) % {"port": url.port}
    return _(
        "The machine is there, but nothing listens on port %(port)d: the server may be down, or the port may "
        "be another."
    ) % {"port": url.port}
