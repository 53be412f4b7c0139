"""What differs between a mailbox and what is known of it: three paths, one result.

    qresync    SELECT (QRESYNC ...) tells what vanished and what changed          RFC 7162 §3.2
    condstore  FETCH CHANGEDSINCE tells what changed, the uids what vanished      RFC 7162 §3.1
    compare    FETCH of all flags

The state is a JSON object: ``uidvalidity``, and ``modseq`` where the mailbox keeps one. The two short paths are
believed only if the number of messages then comes out right; if not, everything is compared.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from webmail.protocols.base import Changes
from webmail.protocols.errors import ProtocolError, StateLost
from webmail.protocols.imap.client import Client
from webmail.protocols.imap.responses import Response
from webmail.protocols.imap.syntax import UID_LIMIT, UidSet, keywords_of, number, uid_sets

if TYPE_CHECKING:
    from webmail.protocols.imap.store import IMAPStore, Selected

FLAGS_LIMIT = 16 * 1024 * 1024  # octets of different sets of flags in one mailbox

Known = Mapping[str, frozenset[str]]
Flags = dict[str, frozenset[str]]

# The bulk of all answers has one of two shapes, and a million of them must not each go through the parser.
_LINE = re.compile(rb"\((?:UID (\d{1,10}) FLAGS \(([^()\"]*)\)|FLAGS \(([^()\"]*)\) UID (\d{1,10}))"
                   rb"(?: MODSEQ \(\d+\))?\)$", re.I)  # fmt: skip


def changes(store: IMAPStore, client: Client, mailbox: str, state: str | None, known: Known) -> Changes:
    uid_validity, modseq = _read(state)
    changed = _Collector()
    parameters = b""
    if modseq and store.enable():
        parameters = b"(QRESYNC (%d %d))" % (uid_validity, modseq)
    elif "CONDSTORE" in client.capabilities or "QRESYNC" in client.capabilities:
        parameters = b"(CONDSTORE)"
    selected = store.select(mailbox, afresh=True, parameters=parameters, each=changed.take)
    if state is not None and selected.uid_validity != uid_validity:
        raise StateLost("UIDVALIDITY changed")
    new_state = _write(selected)
    if modseq and selected.modseq and modseq <= selected.modseq:
        if parameters.startswith(b"(QRESYNC"):
            result = _by_vanished(changed, known, new_state)
        else:
            result = _by_changes(store, client, selected, modseq, known, new_state)
        if len(known) + len(result.created) - len(result.destroyed) == selected.exists:
            return result
    return _by_comparison(store, client, selected, known, new_state)


def _by_vanished(changed: _Collector, known: Known, state: str) -> Changes:
    destroyed = tuple(uid for uid in known if int(uid) in changed.vanished) if changed.vanished.ranges else ()
    return _result(changed.flags, known, destroyed, state)


def _by_changes(store: IMAPStore, client: Client, selected: Selected, modseq: int, known: Known, state: str) -> Changes:
    changed = _Collector()
    if selected.exists and selected.modseq != modseq:
        client.run(b"UID FETCH 1:* (UID FLAGS) (CHANGEDSINCE %d)" % modseq, each=changed.take)
    created = sum(uid not in known for uid in changed.flags)
    destroyed: tuple[str, ...] = ()
    if len(known) + created != selected.exists:  # else nothing can have gone: uids never come back
        there = store.search_uids(b"ALL") if selected.exists else set()
        destroyed = tuple(uid for uid in known if int(uid) not in there)
    return _result(changed.flags, known, destroyed, state)


def _by_comparison(store: IMAPStore, client: Client, selected: Selected, known: Known, state: str) -> Changes:
    every = _Collector()
    if len(known) * 4 < selected.exists:  # a first time, or nearly: the flags of what is new come with the messages
        there = store.search_uids(b"ALL")
        for uid_set in uid_sets(int(uid) for uid in known if int(uid) in there):
            client.run(b"UID FETCH", uid_set, b"(UID FLAGS)", each=every.take)
        destroyed = tuple(uid for uid in known if int(uid) not in there)
        changed = _result(every.flags, known, destroyed, state)
        created = sorted(there.difference(map(int, known)), reverse=True)
        return replace(changed, created=tuple(map(str, created)))
    if selected.exists:
        client.run(b"UID FETCH 1:* (UID FLAGS)", each=every.take)
    return _result(every.flags, known, tuple(uid for uid in known if uid not in every.flags), state)


def _result(flags: Flags, known: Known, destroyed: tuple[str, ...], state: str) -> Changes:
    gone = set(destroyed)
    return Changes(
        state,
        created=tuple(sorted((uid for uid in flags if uid not in known), key=int, reverse=True)),
        updated={u: k for u, k in flags.items() if u not in gone and u in known and known[u] != k},
        destroyed=tuple(sorted(destroyed, key=int)),
    )


class _Collector:
    """Takes FETCH and VANISHED out of the responses to a command, one by one, as small as they can be kept."""

    def __init__(self) -> None:
        self.flags: Flags = {}
        self.vanished = UidSet()
        self._sets: dict[bytes, frozenset[str]] = {}
        self._octets = 0  # of its keys

    def take(self, response: Response) -> bool:
        if response.code == b"CLOSED":  # so far it was the mailbox that was open before, RFC 7162 §3.2.11
            self.flags.clear()
            self.vanished = UidSet()
        if response.kind == b"FETCH":
            self._take_flags(response)
            return True
        if response.kind == b"VANISHED":  # RFC 7162 §3.2.10
            octets = response.pieces[0].strip()
            if octets[:9].upper() == b"(EARLIER)":
                octets = octets[9:].strip()
            self.vanished.add(octets)
            return True
        return False

    def _take_flags(self, response: Response) -> None:
        match = _LINE.match(response.pieces[0]) if len(response.pieces) == 1 else None
        if match:
            uid, flags = match.group(1) or match.group(4), match.group(2)
            flags = match.group(3) if flags is None else flags
            self._set(int(uid), flags.split(), flags)
            return
        values = response.values()
        items = values[0] if values and isinstance(values[0], list) else []
        named = {name.upper(): value for name, value in zip(items[::2], items[1::2], strict=False)
                 if isinstance(name, bytes)}  # fmt: skip
        uid_value, flag_values = named.get(b"UID"), named.get(b"FLAGS")
        if uid_value is not None and isinstance(flag_values, list):
            words = [flag for flag in flag_values if isinstance(flag, bytes)]
            self._set(number(uid_value), words, b" ".join(words))

    def _set(self, uid: int, flags: list[bytes], key: bytes) -> None:
        keywords = self._sets.get(key)
        if keywords is None:  # a mailbox has few different sets of flags: share them
            self._octets += len(key)
            if self._octets > FLAGS_LIMIT:
                raise ProtocolError("more flags than the limit")
            keywords = self._sets[key] = keywords_of(flags)
        if 0 < uid <= UID_LIMIT:  # nothing could be asked about any other
            self.flags[str(uid)] = keywords


def _read(state: str | None) -> tuple[int, int | None]:
    if state is None:
        return 0, None
    try:
        token = json.loads(state)
        modseq = token.get("modseq")
        return int(token["uidvalidity"]), None if modseq is None else int(modseq)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StateLost("the state is not ours") from error


def uid_validity_of(state: str) -> int:
    """Raises StateLost if the state is not ours."""
    return _read(state)[0]


def _write(selected: Selected) -> str:
    token = {"uidvalidity": selected.uid_validity}
    if selected.modseq:
        token["modseq"] = selected.modseq
    return json.dumps(token)
