"""Whom one writes as."""

from __future__ import annotations

from collections.abc import Iterator

from accounts.models import Account, Identity, User, fold
from webmail.models import Draft, Message

DELIVERED = ("delivered-to", "x-original-to")  # to whom a server says it was, where To and Cc name a list or nobody


def default_identity(user: User, account: Account | None = None) -> Identity:
    """The default one of the account, else the first there is. Raises Identity.DoesNotExist if the person has none."""
    mine = user.identities()
    if not mine:
        raise Identity.DoesNotExist
    return next((identity for identity in mine if account and identity.account_id == account.pk), mine[0])


def identity_for(user: User, message: Message, written_by: bool = False) -> tuple[Identity, str]:
    """The one that the message was written to and the address it was written to, "" for its own; else the default of the
    message's account. ``written_by``: first of all the one who wrote it."""
    own = [identity for identity in user.identities() if identity.account_id == message.account_id]
    if not own:
        return default_identity(user), ""
    found = _answering(own, [message.from_email]) if written_by else None
    return found or _answering(own, list(_written_to(message))) or (own[0], "")


def _answering(own: list[Identity], addresses: list[str]) -> tuple[Identity, str] | None:
    """Of one's own identities the first that has one of the addresses, else that answers for one; and for which."""
    for identity in own:
        if any(fold(identity.address) == fold(address) for address in addresses):
            return identity, ""
    for address in addresses:
        for identity in own:
            if identity.answers_for(address):
                return identity, address
    return None


def _written_to(message: Message) -> Iterator[str]:
    """Most telling first; at last who wrote it, which may have been this person."""
    yield from (person.email for person in (*message.people("to"), *message.people("cc")))
    yield from (value.strip("<> ") for name in DELIVERED for value in message.fields.get(name, []))
    yield message.from_email


def written_to_another(draft: Draft) -> str:
    """The address of this person that an answer is expected from, if the draft is written as another one; else ""."""
    message, identity = draft.source, draft.identity
    if message is None or identity is None or draft.kind != "reply":
        return ""
    fitting, address = identity_for(identity.account.user, message)
    expected = address or fitting.address
    addressed = any(fitting.answers_for(one) for one in _written_to(message))
    return expected if addressed and fold(sender_of(draft)) != fold(expected) else ""


def sender_of(draft: Draft) -> str:
    """The address in From."""
    if draft.identity is None:
        return draft.account.address
    return draft.written_as or draft.identity.address


def signature_block(identity: Identity | None) -> str:
    """ "-- " on its own line announces a signature (RFC 3676 §4.3)."""
    return f"\n-- \n{identity.signature.rstrip()}\n" if identity and identity.signature.strip() else ""
