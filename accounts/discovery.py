"""From a mail address to server settings, and the guard on where connections may go.

Order: the operator's table, SRV records (RFC 6186, RFC 8314 §5.1), autoconfig documents of the domain, then a guess at
usual names; where all fail, the sign-in page asks. A host that is not in the operator's table must resolve to public
addresses only, and the connection goes to the very addresses that were checked.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import tomllib
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote, urlsplit

import dns.exception
import dns.resolver
from django.conf import settings
from django.utils.translation import gettext as _

from webmail.protocols.base import Security, Server
from webmail.protocols.errors import InsecureConnection, Refused, Unreachable

DNS_SECONDS = 3.0
FETCH_SECONDS = 4.0
MAX_AUTOCONFIG = 64 * 1024  # octets
MAX_ADDRESSES = 8

_PORTS = {
    "imap": 143, "imaps": 993, "imap+starttls": 143,
    "pop3": 110, "pop3s": 995, "pop3+starttls": 110,
    "smtp": 25, "smtps": 465, "smtp+starttls": 587,
}  # fmt: skip
_SECURITY = {"s": Security.TLS, "+starttls": Security.STARTTLS, "": Security.PLAIN}
_SUFFIX = {security: suffix for suffix, security in _SECURITY.items()}


class BadURL(ValueError):
    """Not one of the schemes of the configuration table, or no host."""


@dataclass(frozen=True, slots=True)
class ServerURL:
    """``imaps://mail.example.org:993`` taken apart; ``str()`` puts it together again."""

    protocol: str
    security: Security
    host: str
    port: int

    @classmethod
    def parse(cls, url: str) -> ServerURL:
        """Raises BadURL."""
        parts = urlsplit(url)
        if parts.scheme not in _PORTS:
            raise BadURL(
                _("“%(url)s” does not begin with one of: %(schemes)s.") % {"url": url, "schemes": ", ".join(_PORTS)}
            )
        protocol = parts.scheme[:4]
        try:
            host, port = parts.hostname, parts.port
        except ValueError as error:
            raise BadURL(_("“%(url)s” has a bad port.") % {"url": url}) from error
        if not host or not _plausible_host(host):
            raise BadURL(_("“%(url)s” has no usable host name.") % {"url": url})
        return cls(protocol, _SECURITY[parts.scheme[4:]], host, port or _PORTS[parts.scheme])

    @property
    def scheme(self) -> str:
        return self.protocol + _SUFFIX[self.security]

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Candidate:
    """Settings that may be right. ``certain`` ones come from somebody who should know, so a refusal there is final; who
    knows where mail is read may still have said nothing of where it is sent (``outgoing_guessed``)."""

    incoming: ServerURL
    outgoing: ServerURL | None
    username: str
    certain: bool
    source: str
    outgoing_guessed: bool = False


def _plausible_host(host: str) -> bool:
    return len(host) <= 253 and not any(c.isspace() or c in "/\\@?#%<>\"'" or ord(c) < 33 for c in host)


# --- the address guard ------------------------------------------------------------------------------------------


def operator_domains() -> dict[str, dict[str, Any]]:
    """The operator's table, with the sample server's own entry while it runs."""
    table = {domain.lower(): entry for domain, entry in settings.MAIL_DOMAINS.items()}
    if settings.DEMO:
        try:
            sample = tomllib.loads((settings.DEMO_DIR / "servers.toml").read_text())["domains"]
        except (OSError, tomllib.TOMLDecodeError, KeyError):
            return table  # not started, or not yet
        return {**sample, **table}
    return table


def _is_operators(url: ServerURL) -> bool:
    for entry in operator_domains().values():
        for key in ("incoming", "outgoing"):
            known = ServerURL.parse(entry[key]) if entry.get(key) else None
            if known and (known.host.lower(), known.port) == (url.host.lower(), url.port):
                return True
    return False


# Beside what Python's ipaddress holds for special: registered after it was written, or no longer in use.
UNICAST = ipaddress.ip_network("2000::/3")  # all of IPv6 that is given out (RFC 4291 §2.4)
TRANSLATED = ipaddress.ip_network("64:ff9b::/96")  # NAT64 (RFC 6052 §2.1)
SPECIAL = [
    ipaddress.ip_network(one)
    for one in ("192.88.99.0/24", "2001::/23", "2001:db8::/32", "3fff::/20")  # RFC 7526, 2928, 3849, 9637
]


def is_public(address: str) -> bool:
    """True for an address that the whole internet may be asked to reach; embedded IPv4 addresses are looked at too."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = _embedded(ip)
        if inner is not None and not is_public(str(inner)):
            return False
        if ip.ipv4_mapped or ip in TRANSLATED:
            return True
        if ip not in UNICAST:
            return False
    return ip.is_global and not ip.is_multicast and not any(ip in network for network in SPECIAL)


def _embedded(ip: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that a packet to it may end at: mapped, NAT64, 6to4, Teredo, ISATAP (RFC 5214 §6.1)."""
    last = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    isatap = (int(ip) >> 32) & 0xFCFFFFFF == 0x00005EFE
    if ip in TRANSLATED or isatap:
        return last
    return ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)


def public_addresses(host: str, port: int) -> tuple[str, ...]:
    """Raises Unreachable if the name does not resolve, Refused if any of its addresses is not public."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise Unreachable(_("There is no server named %(host)s.") % {"host": host}) from error
    addresses = tuple(dict.fromkeys(str(info[4][0]) for info in found))[:MAX_ADDRESSES]
    if not addresses or not all(is_public(address) for address in addresses):
        raise Refused(
            _("%(host)s is not a public address. Only the operator can allow it.") % {"host": host}, "PRIVATE"
        )
    return addresses


def resolve(url: ServerURL) -> Server:
    """What the adapters connect to. Raises Unreachable or Refused (see public_addresses)."""
    addresses = () if _is_operators(url) else public_addresses(url.host, url.port)
    return Server(
        url.protocol, url.host, url.port, url.security, addresses, settings.MAIL_CA_FILE, float(settings.MAIL_TIMEOUT),
        float(settings.MAIL_PATIENCE),
    )  # fmt: skip


# --- address books ----------------------------------------------------------------------------------------------


def book_servers(address: str) -> Iterator[str]:
    """Where the address books of a domain may be, best first (RFC 6764 §6); lazily, as ``candidates``."""
    domain = address.rpartition("@")[2].lower()
    entry = operator_domains().get(domain) or operator_domains().get("*") or {}
    if entry.get("contacts"):
        yield _fill(entry["contacts"], quote(address))
        return
    if place := _srv("carddavs", domain):
        yield f"https://{place[0]}:{place[1]}/.well-known/carddav"
    yield f"https://{domain}/.well-known/carddav"


def resolve_book(host: str, port: int, secure: bool) -> Server:
    """What the CardDAV adapter connects to; as ``resolve``. Without TLS only where the operator says so. Raises
    Unreachable, Refused or InsecureConnection."""
    known = [urlsplit(str(entry["contacts"])) for entry in operator_domains().values() if entry.get("contacts")]
    ports = {(one.hostname, one.port or (443 if one.scheme == "https" else 80), one.scheme == "https") for one in known}
    if (host, port, secure) in ports:
        addresses: tuple[str, ...] = ()
    elif not secure:
        raise InsecureConnection(_("Only https is safe enough for a password."), "TLS")
    else:
        addresses = public_addresses(host, port)
    security = Security.TLS if secure else Security.PLAIN
    return Server("carddav", host, port, security, addresses, settings.MAIL_CA_FILE, float(settings.MAIL_TIMEOUT))


# --- discovery --------------------------------------------------------------------------------------------------


def candidates(address: str) -> Iterator[Candidate]:
    """Settings to try, best first; lazily, because each further source costs a question to the network."""
    domain = address.rpartition("@")[2].lower()
    known = _from_table(address, domain)
    if known:
        yield known
        return
    for source in (_from_srv, _from_autoconfig):
        found = source(address, domain)
        if found:
            yield found if found.outgoing else _with_way_out(found, domain)
            return
    yield from _guesses(address, domain)


def in_table(address: str) -> Candidate | None:
    """What the operator says of this address's domain; None if nothing."""
    return _from_table(address, address.rpartition("@")[2].lower())


def _from_table(address: str, domain: str) -> Candidate | None:
    entry = operator_domains().get(domain) or operator_domains().get("*")
    if not entry:
        return None
    username = _fill(entry.get("username", "%EMAILADDRESS%"), address)
    outgoing = ServerURL.parse(entry["outgoing"]) if entry.get("outgoing") else None
    return Candidate(ServerURL.parse(entry["incoming"]), outgoing, username, True, "table")


def _fill(template: str, address: str) -> str:
    local, _at, domain = address.rpartition("@")
    for name, value in (("%EMAILADDRESS%", address), ("%EMAILLOCALPART%", local), ("%EMAILDOMAIN%", domain)):
        template = template.replace(name, value)
    return template


def _srv(service: str, domain: str) -> tuple[str, int] | None:
    resolver = dns.resolver.Resolver()
    try:
        answer = resolver.resolve(f"_{service}._tcp.{domain}", "SRV", lifetime=DNS_SECONDS)
    except dns.exception.DNSException:
        return None  # no record, no DNS or no time: the next source is asked
    best = min(answer, key=lambda record: (record.priority, -record.weight))
    host = best.target.to_text(omit_final_dot=True)
    return (host, best.port) if host and host != "." else None  # "." means: not offered (RFC 2782)


def _from_srv(address: str, domain: str) -> Candidate | None:
    """RFC 6186 §3.1–3.4; ``_submissions`` is RFC 8314 §5.1."""
    services = {
        "imaps": ("imap", Security.TLS), "imap": ("imap", Security.STARTTLS),
        "pop3s": ("pop3", Security.TLS), "pop3": ("pop3", Security.STARTTLS),
    }  # fmt: skip
    incoming = None
    for service, (protocol, security) in services.items():
        if place := _srv(service, domain):
            incoming = ServerURL(protocol, security, *place)
            break
    if incoming is None:
        return None
    outgoing = None
    for service, security in (("submissions", Security.TLS), ("submission", Security.STARTTLS)):
        if place := _srv(service, domain):
            outgoing = ServerURL("smtp", security, *place)
            break
    return Candidate(incoming, outgoing, address, True, "srv")


def _from_autoconfig(address: str, domain: str) -> Candidate | None:
    for host, path in (
        (f"autoconfig.{domain}", f"/mail/config-v1.1.xml?emailaddress={quote(address)}"),
        (domain, "/.well-known/autoconfig/mail/config-v1.1.xml"),
    ):
        try:
            document = fetch_public(host, path)
        except (OSError, http.client.HTTPException, Unreachable, Refused):
            continue  # most domains have none; what matters is whether any source answers
        if document and (found := parse_autoconfig(document, address)):
            return found
    return None


def fetch_public(host: str, path: str) -> bytes | None:
    """GET over HTTPS from checked addresses only, no redirects, at most MAX_AUTOCONFIG octets; None unless 200."""
    address = public_addresses(host, 443)[0]
    connection = http.client.HTTPSConnection(host, 443, timeout=FETCH_SECONDS)
    raw = socket.create_connection((address, 443), timeout=FETCH_SECONDS)
    connection.sock = ssl.create_default_context().wrap_socket(raw, server_hostname=host)
    try:
        connection.request("GET", path, headers={"User-Agent": "Postkasse", "Accept": "application/xml, text/xml"})
        response = connection.getresponse()
        return response.read(MAX_AUTOCONFIG + 1) if response.status == 200 else None
    finally:
        connection.close()


def parse_autoconfig(document: bytes, address: str) -> Candidate | None:
    """The first usable incoming (IMAP before POP3) and outgoing server of a config-v1.1 document; None if there is none."""
    typed = b"<!DOCTYPE" in document or b"<!ENTITY" in document or b"\0" in document  # which UTF-16 has
    if len(document) > MAX_AUTOCONFIG or typed:
        return None  # no configuration needs a document type, an attack on the parser does
    try:
        root = ElementTree.fromstring(document)  # noqa: S314  (bounded, and without a document type)
    except ElementTree.ParseError:
        return None
    incoming = [s for s in (_autoconfig_server(node, address) for node in root.iter("incomingServer")) if s]
    outgoing = [s for s in (_autoconfig_server(node, address) for node in root.iter("outgoingServer")) if s]
    incoming.sort(key=lambda pair: pair[0].protocol != "imap")
    if not incoming:
        return None
    url, username = incoming[0]
    return Candidate(url, outgoing[0][0] if outgoing else None, username, True, "autoconfig")


def _autoconfig_server(node: ElementTree.Element, address: str) -> tuple[ServerURL, str] | None:
    kinds = {"SSL": "s", "STARTTLS": "+starttls"}  # a document that asks for no encryption at all is not believed
    scheme = node.get("type", "") + kinds.get(node.findtext("socketType", ""), "!")
    host = _fill(node.findtext("hostname", "").strip(), address)
    port = node.findtext("port", "").strip()
    try:
        url = ServerURL.parse(f"{scheme}://{host}" + (f":{port}" if port else ""))
    except BadURL:
        return None
    return url, _fill(node.findtext("username", "%EMAILADDRESS%").strip() or "%EMAILADDRESS%", address)


def _guesses(address: str, domain: str) -> Iterator[Candidate]:
    """Usual names that exist; only over TLS, because a guess must not show a password to the network."""
    for host in (f"imap.{domain}", f"mail.{domain}", domain):
        if _exists(host):
            incoming = ServerURL("imap", Security.TLS, host, 993)
            yield _with_way_out(Candidate(incoming, None, address, False, "guess"), domain)


def _with_way_out(found: Candidate, domain: str) -> Candidate:
    names = (f"smtp.{domain}", f"mail.{domain}")
    host = next((name for name in names if _exists(name)), found.incoming.host)
    return replace(found, outgoing=ServerURL("smtp", Security.TLS, host, 465), outgoing_guessed=True)


def ways_out(guess: ServerURL) -> tuple[ServerURL, ...]:
    """Where the host of a guess may take mail for submission: as guessed, then by TLS from the first octet, then by STARTTLS
    (RFC 8314 §3.3), on the port for it and on the one that servers use among themselves. Never in the clear: a guess must
    not show a password to the network."""
    choices = ((Security.TLS, 465), (Security.STARTTLS, 587), (Security.STARTTLS, 25))
    others = (ServerURL("smtp", security, guess.host, port) for security, port in choices)
    return tuple(dict.fromkeys((guess, *others)))


def _exists(host: str) -> bool:
    try:
        return bool(socket.getaddrinfo(host, None))
    except (OSError, UnicodeError):
        return False
