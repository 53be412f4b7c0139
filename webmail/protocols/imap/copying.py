"""Messages copied and moved, and where they end up: COPYUID (RFC 4315 §3), or else found by what they look like."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from webmail.protocols.errors import ProtocolError, Refused
from webmail.protocols.imap import fetch
from webmail.protocols.imap.client import Client
from webmail.protocols.imap.syntax import encode_mailbox, number, quoted, set_members, text, uid_sets

if TYPE_CHECKING:
    from webmail.protocols.imap.store import IMAPStore

PAIRING_LIMIT = 1000  # messages whose copies are looked for, where COPYUID does not name them

_IDENTITY = b"(UID RFC822.SIZE BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])"


def copy(
    store: IMAPStore, client: Client, command: bytes, mailbox: str, uids: list[int], target: str
) -> dict[str, str]:
    """UID COPY or UID MOVE of the open ``mailbox``; uid -> uid in ``target``, as far as that can be known."""
    pairs: dict[str, str] = {}
    tells = not client.capabilities.isdisjoint(("UIDPLUS", "IMAP4REV2"))
    before = None if tells or len(uids) > PAIRING_LIMIT else _identities(client, uids, target)
    for uid_set in uid_sets(uids):
        done = client.run(command, uid_set, quoted(encode_mailbox(target)))  # RFC 9051 §6.4.7
        # MOVE answers with an untagged OK (RFC 6851 §4.3), COPY with the tagged one (RFC 4315 §3).
        for answer in (r for r in (*done.untagged, done.tagged) if r.code == b"COPYUID"):
            words = answer.code_data.split()
            if len(words) == 3:
                pairs.update(_pairs(set_members(words[1]), set_members(words[2])))
    if before is not None and not pairs:
        pairs = _paired(store, client, target, *before)
        if command == b"UID COPY":
            store.select(mailbox)
    return pairs


def _identities(client: Client, uids: list[int], target: str) -> tuple[int, dict[bytes, list[int]]] | None:
    """What tells where copies end up: the next uid of the target, and what the originals look like."""
    try:
        answer = client.run(b"STATUS", quoted(encode_mailbox(target)), b"(UIDNEXT)")
    except Refused:
        return None  # COPY will say what is wrong
    for response in answer.of(b"STATUS"):
        values = response.values()
        items = values[-1] if values and isinstance(values[-1], list) else []
        if len(items) == 2 and text(items[0]).upper() == "UIDNEXT":
            return number(items[1]), _looks(client, uid_sets(uids))
    return None


def _looks(client: Client, sets: Iterable[bytes]) -> dict[bytes, list[int]]:
    found: dict[bytes, list[int]] = {}
    for uid_set in sets:
        for items in fetch.all_fetched(client.run(b"UID FETCH", uid_set, _IDENTITY).untagged):
            uid, size = items.get(b"UID"), items.get(b"RFC822.SIZE")
            header = next((v for k, v in items.items() if k.startswith(b"BODY[")), None)
            if uid and isinstance(size, bytes) and isinstance(header, bytes) and header.strip():
                found.setdefault(header.strip() + b" " + size, []).append(number(uid))
    return found


def _paired(
    store: IMAPStore, client: Client, target: str, uid_next: int, originals: dict[bytes, list[int]]
) -> dict[str, str]:
    store.select(target, afresh=True)
    copies = _looks(client, [b"%d:*" % uid_next])
    pairs = {}
    for look, uids in originals.items():
        found = [uid for uid in copies.get(look, ()) if uid >= uid_next]  # "n:*" always finds the last one
        if len(found) == len(uids):
            pairs.update(_pairs(sorted(uids), sorted(found)))
    return pairs


def _pairs(sources: list[int], targets: list[int]) -> dict[str, str]:
    if len(sources) != len(targets):
        raise ProtocolError("COPYUID does not pair up")
    return {str(source): str(copy) for source, copy in zip(sources, targets, strict=True)}
