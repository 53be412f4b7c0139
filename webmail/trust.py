"""Who a message is really from: what a trusted server found out about it, and what about its names may deceive.

All of it is decided from values, nothing is looked up. Authentication-Results: RFC 8601; DMARC: RFC 7489; scripts and
look-alikes: UTS #39.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any

from confusable_homoglyphs import categories, confusables

from webmail.mime import Address, clean

MAX_RESULTS = 50  # of all Authentication-Results fields of a message
MAX_NAME = 255
MAX_FIELD = 10_000  # characters of one that are read
# Under these of a country, people register one label further down. The list of all is 250 kB and changes weekly; where
# this one errs, a warning is too many or missing; nothing is believed because of it.
SECOND_LEVEL = {"ac", "co", "com", "edu", "go", "gob", "gov", "govt", "mil", "ne", "net", "nom", "or", "org"}
SECOND_LEVEL |= {"asn", "dep", "id", "kommune", "ltd", "me", "nhs", "plc", "priv", "sch"}
# Letters and digits that pass for others at a glance, within ASCII.
GLANCE = [("rn", "m"), ("vv", "w"), ("cl", "d"), ("0", "o"), ("1", "l"), ("i", "l"), ("5", "s"), ("-", "")]
# Whom the most mail pretends to be from.
IMPERSONATED = (
    "paypal.com", "amazon.com", "apple.com", "icloud.com", "microsoft.com", "office.com", "google.com", "gmail.com",
    "facebook.com", "instagram.com", "netflix.com", "linkedin.com", "dhl.com", "ups.com", "fedex.com", "ebay.com",
    "posten.no", "vipps.no", "dnb.no", "skatteetaten.no", "nav.no", "altinn.no", "bankid.no", "visa.com", "mastercard.com",
)  # fmt: skip


# --- what a server found out --------------------------------------------------------------------------------------


class Standing(StrEnum):
    """What all results come to, for the one sign that pages show."""

    VERIFIED = "verified"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Result:
    """One method's result (RFC 8601 §2.2); ``domain`` is whom it speaks about, "" where it does not say."""

    method: str
    result: str
    domain: str


@dataclass(frozen=True, slots=True)
class Authentication:
    """The results of the trusted server ``by``; none if no such server spoke."""

    by: str
    results: tuple[Result, ...]

    def to_json(self) -> dict[str, Any]:
        return {"by": self.by, "results": [[one.method, one.result, one.domain] for one in self.results]}

    @classmethod
    def from_json(cls, kept: dict[str, Any]) -> Authentication:
        return cls(kept.get("by", ""), tuple(Result(*one) for one in kept.get("results", ())))

    def of(self, method: str) -> str:
        """Its best result; "" if it was not tried."""
        found = [one.result for one in self.results if one.method == method]
        return "pass" if "pass" in found else next(iter(found), "")

    def signed_by(self, domain: str) -> bool:
        """A DKIM signature of the domain itself, or of one of the same organisation, was valid (RFC 7489 §3.1.1)."""
        return self._aligned("dkim", domain)

    def standing(self, domain: str) -> Standing:
        """Of the author's ``domain``: DMARC where it was tried, else an aligned DKIM or SPF pass."""
        about = [one for one in self.results if one.method == "dmarc" and _in_line(one.domain or domain, domain)]
        dmarc = Authentication(self.by, tuple(about)).of("dmarc")
        if dmarc == "pass":
            return Standing.VERIFIED
        if dmarc in ("fail", "permerror"):
            # Anybody can seal a chain; that one is whole says only that forwarding may be why the rest fails (RFC 8617 §7.2).
            return Standing.UNKNOWN if self.of("arc") == "pass" else Standing.FAILED
        if self._aligned("dkim", domain) or self._aligned("spf", domain):
            return Standing.VERIFIED
        return Standing.FAILED if self.of("spf") == "fail" and self.of("dkim") != "pass" else Standing.UNKNOWN

    def _aligned(self, method: str, domain: str) -> bool:
        return any(
            one.method == method and one.result == "pass" and one.domain and _in_line(one.domain, domain)
            for one in self.results
        )


def _in_line(one: str, other: str) -> bool:
    """The same name, or one below the other: stricter than RFC 7489 §3.1 where nobody knows what is a registered domain."""
    one, other = ascii_domain(one), ascii_domain(other)
    return one == other or one.endswith("." + other) or other.endswith("." + one)


# Names under which the servers of providers check senders, by the registered domain of the server that mail is read from.
# Only of those is it known that they let nobody else speak in their name; others the person or the operator names.
CHECKERS = {
    "gmail.com": ("mx.google.com",),
    "googlemail.com": ("mx.google.com",),
    "fastmail.com": ("messagingengine.com",),
    "me.com": ("icloud.com",),
    "yahoo.com": ("yahoo.com",),
}


def checkers_of(host: str) -> tuple[str, ...]:
    """Whose results count for mail that is read from ``host`` without anybody saying so."""
    return CHECKERS.get(organisation(host), ())


def authentication(fields: Sequence[tuple[str, str]], trusted: Iterable[str]) -> Authentication:
    """From the header's fields, names in lower case, the newest first as they stand. Only servers of ``trusted`` names or
    below them are believed, and of those the one that spoke last, up to the next Received below it: whatever is older may
    have come with the message (RFC 8601 §5)."""
    names = [name.lower() for name in trusted]
    by = ""
    results: list[Result] = []
    for name, value in fields:
        if name == "received" and by:
            break
        if name != "authentication-results" or not (match := _SERVER.match(value)):
            continue
        server = match[1].lower()
        if not any(server == one or server.endswith("." + one) for one in names) or by not in ("", server):
            continue
        by = server
        told = {one.method for one in results}  # by a newer field: an older one of that name may be forged
        results += [one for one in _parsed(value[:MAX_FIELD]) if one.method not in told]
        if len(results) > MAX_RESULTS:
            break
    return Authentication(by, tuple(results[:MAX_RESULTS]))


_SERVER = re.compile(r"[\s\"]*([a-z0-9._:-]{1,255})(?=[\s;\"]|$)", re.IGNORECASE)


def signed_fields(fields: Sequence[tuple[str, str]], found: Authentication) -> frozenset[str]:
    """Names of the header fields that a DKIM signature covers which the trusted server found valid (RFC 6376 §3.5). Of
    several signatures of one domain nobody tells which was valid: only what each of them covers counts."""
    valid = {one.domain for one in found.results if one.method == "dkim" and one.result == "pass"}
    covered: dict[str, frozenset[str]] = {}
    for name, value in fields:
        if name != "dkim-signature":
            continue
        pairs = (tag.partition("=") for tag in value[:MAX_FIELD].lower().split(";"))
        tags = {tag.strip(): text for tag, _equals, text in pairs}
        domain = tags.get("d", "").strip()
        names = frozenset(word.strip() for word in tags.get("h", "").split(":"))
        if domain in valid:
            covered[domain] = covered.get(domain, names) & names
    return frozenset().union(*covered.values())


def _parsed(value: str) -> list[Result]:
    found = []
    for piece in _split(value)[1:]:
        words = [
            word.partition("=") for word in " ".join(piece.split()).replace(" =", "=").replace("= ", "=").split(" ")
        ]
        told = [(key.lower(), clean(text.strip('"').lower())[:MAX_NAME]) for key, equals, text in words if equals]
        if told:
            method, result = told[0][0].partition("/")[0], told[0][1]  # "dkim/1" (§2.2)
            found.append(Result(clean(method)[:40], result, _domain_in(method, dict(told[1:]))))
    return found


def _domain_in(method: str, properties: dict[str, str]) -> str:
    """RFC 8601 §2.7: where each method says whom it is about."""
    places = {
        "dkim": ("header.d", "header.i"),
        "spf": ("smtp.mailfrom", "smtp.mail", "smtp.helo"),
        "dmarc": ("header.from",),
    }
    found = next((properties[place] for place in places.get(method, ()) if place in properties), "")
    return found.rpartition("@")[2].strip("<>")


def _split(value: str) -> list[str]:
    """At semicolons; comments, which nest, are left out and quoted strings kept whole (RFC 5322 §3.2)."""
    pieces, piece, depth, quoted, at = [], [], 0, False, 0
    while at < len(value):
        character = value[at]
        if character == "\\" and (quoted or depth):
            at += 1
        elif character == '"' and not depth:
            quoted = not quoted
        elif quoted:
            piece.append("_" if character in " \t=" else character)  # it is one word, and tells no result
        elif character == "(" and not quoted:
            depth += 1
        elif character == ")" and depth and not quoted:
            depth -= 1
        elif character == ";" and not quoted and not depth:
            pieces.append("".join(piece))
            piece = []
        elif not depth:
            piece.append(character)
        at += 1
    return [*pieces, "".join(piece)]


# --- what may deceive ---------------------------------------------------------------------------------------------


class Doubt(StrEnum):
    NAME_HOLDS_ADDRESS = "name_holds_address"  # the name is another address than the address
    MIXED_SCRIPTS = "mixed_scripts"  # letters of several scripts in one word of the domain
    LOOKS_LIKE = "looks_like"  # the domain passes for another
    REPLY_ELSEWHERE = "reply_elsewhere"  # answers go to another organisation


@dataclass(frozen=True, slots=True)
class Caution:
    """``real`` is what is true, ``seen`` what it may be taken for."""

    doubt: Doubt
    real: str
    seen: str


def cautions(
    sender: Address, reply_to: Sequence[Address], known_domains: Iterable[str], listed: bool = False
) -> tuple[Caution, ...]:
    """What about the author may deceive. ``known_domains`` are those the person deals with; a list (``listed``) may send
    answers elsewhere."""
    return tuple(_cautions(sender, reply_to, known_domains, listed))


def _cautions(sender: Address, reply_to: Sequence[Address], known: Iterable[str], listed: bool) -> Iterator[Caution]:
    domain = sender.email.rpartition("@")[2].lower()
    for address in re.findall(r"[^\s<>\"'(),;:]+@[^\s<>\"'(),;:]+", sender.name)[:1]:
        if address.lower() != sender.email.lower():
            yield Caution(Doubt.NAME_HOLDS_ADDRESS, sender.email, address)
    if domain and mixed_scripts(domain):
        yield Caution(Doubt.MIXED_SCRIPTS, ascii_domain(domain), readable_domain(domain))
    elif domain and (other := looks_like(domain, known)):
        yield Caution(Doubt.LOOKS_LIKE, ascii_domain(domain), other)
    for address in reply_to if not listed else ():
        other = address.email.rpartition("@")[2].lower()
        if other and domain and not same_organisation(other, domain):
            yield Caution(Doubt.REPLY_ELSEWHERE, address.email, sender.email)
            return


def organisation(domain: str) -> str:
    """The registered domain, as far as its labels tell."""
    labels = domain.lower().strip(".").split(".")
    deep = len(labels) > 2 and len(labels[-1]) == 2 and labels[-2] in SECOND_LEVEL
    return ".".join(labels[-3 if deep else -2 :])


def same_organisation(one: str, other: str) -> bool:
    return organisation(ascii_domain(one)) == organisation(ascii_domain(other))


def ascii_domain(domain: str) -> str:
    """As the name system knows it (RFC 5891 §4.4); what cannot be said so stays."""
    try:
        return domain.lower().encode("idna").decode("ascii")
    except UnicodeError:
        return domain.lower()


def readable_domain(domain: str) -> str:
    try:
        return domain.encode("ascii").decode("idna")
    except UnicodeError:
        return domain


def mixed_scripts(domain: str) -> bool:
    """A label holds letters of Latin and of another alphabet: "pаypal" with a Cyrillic а. Japanese and Korean mix theirs."""
    together = {"HAN", "HIRAGANA", "KATAKANA", "HANGUL", "BOPOMOFO"}
    for label in readable_domain(domain).split("."):
        scripts = {alias for alias in categories.unique_aliases(label) if alias not in ("COMMON", "INHERITED")}
        if len(scripts) > 1 and not scripts - together <= {"LATIN"}:
            return True
    return False


def looks_like(domain: str, known: Iterable[str]) -> str:
    """The known or often impersonated domain that this one passes for, but is not; "" if none."""
    own, shape = _seen_as(domain)
    for other in dict.fromkeys([*known, *IMPERSONATED]):
        its_own, its_shape = _seen_as(other)
        if its_own != own and its_shape == shape:
            return other
    return ""


@lru_cache(maxsize=5000)
def _seen_as(domain: str) -> tuple[str, str]:
    """Its organisation, and the shape of that as people read it. Each opening asks of some hundred well-known ones."""
    return organisation(ascii_domain(domain)), _shape(organisation(readable_domain(domain)))


@lru_cache(maxsize=10_000)
def _shape(domain: str) -> str:
    """Equal for what looks equal at a glance (a skeleton, UTS #39 §4, and a little more)."""
    letters = [letter if letter.isascii() else _latin(letter) for letter in domain]
    shape = "".join(letters).lower()
    for seen, meant in GLANCE:
        shape = shape.replace(seen, meant)
    return shape


def _latin(letter: str) -> str:
    """The ASCII letter it is drawn like, else itself."""
    found: Any = confusables.is_confusable(letter, greedy=True, preferred_aliases=["latin"])
    alike = [one["c"] for one in found[0]["homoglyphs"]] if found else []
    plain = unicodedata.normalize("NFD", letter)[0]  # é for e
    return next((one for one in alike if one.isascii()), plain)
