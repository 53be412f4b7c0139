"""Which mailboxes there are, with roles and counts: LIST (RFC 9051 §6.3.9) and what its extensions save."""

from __future__ import annotations

from collections.abc import Mapping

from webmail.protocols.base import RemoteMailbox
from webmail.protocols.errors import ProtocolError, Refused
from webmail.protocols.imap.client import Client
from webmail.protocols.imap.responses import Done, Response
from webmail.protocols.imap.roles import roles_of
from webmail.protocols.imap.syntax import decode_mailbox, encode_mailbox, number, quoted, text

STATUS_LIMIT = 100  # mailboxes that are asked for counts one by one, where LIST cannot tell them

_CLOSED = frozenset({"\\noselect", "\\nonexistent"})


def mailboxes(client: Client) -> list[RemoteMailbox]:
    """In as few round trips as the server allows."""
    if "LIST-EXTENDED" in client.capabilities:  # RFC 5258 §3
        options = [b"SUBSCRIBED"]
        if "SPECIAL-USE" in client.capabilities:
            options.append(b"SPECIAL-USE")  # RFC 6154 §3
        if "LIST-STATUS" in client.capabilities:
            options.append(b"STATUS (MESSAGES UNSEEN)")  # RFC 5819 §2
        done = client.run(b'LIST "" "*" RETURN (%s)' % b" ".join(options))
        subscribed = None
    else:
        listing, subscriptions = client.send(b'LIST "" "*"'), client.send(b'LSUB "" "*"')
        done = client.finish(listing)
        answer = client.finish(subscriptions)  # RFC 3501 §6.3.9
        subscribed = {_listed(r)[0] for r in (*answer.of(b"LSUB"), *(r for r in done.of(b"LSUB")))}
    listed = {name: (delimiter, attributes) for name, delimiter, attributes in map(_listed, done.of(b"LIST"))}
    roles = roles_of((name, *rest) for name, rest in listed.items())
    counts = _counts(client, done, [n for n, (_, a) in listed.items() if not a & _CLOSED], roles)
    return [
        RemoteMailbox(
            name=name,
            delimiter=delimiter,
            role=roles.get(name),
            selectable=not attributes & _CLOSED,
            subscribed=name == "INBOX" or ("\\subscribed" in attributes if subscribed is None else name in subscribed),
            total=counts.get(name, (None, None))[0],
            unread=counts.get(name, (None, None))[1],
        )
        for name, (delimiter, attributes) in listed.items()
    ]


def _counts(client: Client, done: Done, names: list[str], roles: Mapping[str, str]) -> dict[str, tuple[int, int]]:
    if client.capabilities.issuperset(("LIST-EXTENDED", "LIST-STATUS")):
        return dict(filter(None, map(_status, done.of(b"STATUS"))))
    counts: dict[str, tuple[int, int]] = {}
    first = sorted(names, key=lambda name: name not in roles)[:STATUS_LIMIT]
    tags = [client.send(_status_command(name)) for name in first]
    for tag in tags:
        try:
            answer = client.finish(tag)
        except Refused:  # one mailbox that cannot be counted does not hide the others
            continue
        counts.update(filter(None, map(_status, answer.of(b"STATUS"))))
    return counts


def _listed(response: Response) -> tuple[str, str | None, frozenset[str]]:
    values = response.values()  # RFC 9051 §7.3.1
    if len(values) < 3 or not isinstance(values[0], list) or not isinstance(values[2], bytes | None):
        raise ProtocolError("LIST cannot be understood")
    attributes = frozenset(text(attribute).lower() for attribute in values[0])
    return _name(values[2] if values[2] is not None else b"NIL"), text(values[1]) or None, attributes


def _name(octets: bytes) -> str:
    return "INBOX" if octets.upper() == b"INBOX" else decode_mailbox(octets)  # RFC 9051 §5.1


def new_name(name: str) -> bytes:
    """Octets for a name of our own making; one that would be listed under another name is none."""
    octets = encode_mailbox(name)
    if decode_mailbox(octets) != name:
        raise Refused("a mailbox cannot have this name")
    return octets


def _status_command(name: str) -> bytes:
    return b"STATUS " + quoted(encode_mailbox(name)) + b" (MESSAGES UNSEEN)"  # RFC 9051 §6.3.11


def _status(response: Response) -> tuple[str, tuple[int, int]] | None:
    values = response.values()
    if len(values) != 2 or not isinstance(values[0], bytes) or not isinstance(values[1], list):
        return None
    counts = {text(name).upper(): value for name, value in zip(values[1][::2], values[1][1::2], strict=False)}
    if not counts.keys() >= {"MESSAGES", "UNSEEN"}:
        return None
    return _name(values[0]), (number(counts["MESSAGES"]), number(counts["UNSEEN"]))
