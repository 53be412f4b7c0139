"""What can go wrong with a server, named by what the caller must do about it.

MailError                     .detail (the server's words) .code (RFC 5530, RFC 5321 / 3463)
  Unreachable                 DNS, refused, timeout, dropped              retryable, connection_lost
  InsecureConnection          certificate, STARTTLS missing or stripped   needs_user
  AuthenticationFailed        535, [AUTHENTICATIONFAILED], [EXPIRED]      needs_user
  Unavailable                 [UNAVAILABLE] [INUSE] [LIMIT], 4yz          retryable with backoff
    NoRoomYet                 4.2.2, 4.3.1
  ProtocolError               unparsable, out of step, over a bound       connection_lost, retryable once
  Refused                     NO without a better class, 5yz              permanent
    NotFound AlreadyExists NoPermission OverQuota TooLarge NoRoom MessageRefused RecipientsRefused(.refused)
  StateLost                   the mailbox must be read again from nothing
  DeliveryUncertain           connection lost after DATA: never retried by the program; the person decides
  Unsupported                 asked for what the capabilities deny: a bug in the caller

The three flags are class attributes, so that a caller asks ``error.retryable`` and never compares classes:
``retryable`` (the same call may succeed later), ``needs_user`` (only the person can put it right) and
``connection_lost`` (the connection is of no further use and must be closed).
"""

from __future__ import annotations

NO_SIGN_IN = "AUTH"  # the code of AuthenticationFailed where no way to sign in is offered: nobody was shown a password


class MailError(Exception):
    """Base of everything the protocol adapters raise. ``detail`` is the other side's own words, decoded and bounded."""

    retryable = False
    needs_user = False
    connection_lost = False

    def __init__(self, detail: str = "", code: str = "") -> None:
        super().__init__(detail or type(self).__name__)
        self.detail = detail
        self.code = code


class Unreachable(MailError):
    """No connection, or it was dropped: DNS, refused, timed out, reset."""

    retryable = True
    connection_lost = True


class InsecureConnection(MailError):
    """TLS could not be had as asked: bad certificate, STARTTLS missing, stripped or injected into."""

    needs_user = True
    connection_lost = True


class AuthenticationFailed(MailError):
    """The server knows the connection but not these credentials."""

    needs_user = True


class Unavailable(MailError):
    """The server asks to come back later."""

    retryable = True


class NoRoomYet(Unavailable):
    """There is no room for the message where it was to go, for the moment."""


class ProtocolError(MailError):
    """The server said something that cannot be understood, or more than a bound allows."""

    retryable = True
    connection_lost = True


class Refused(MailError):
    """The server understood and said no, for good."""


class NotFound(Refused):
    """The mailbox or message is not there."""


class AlreadyExists(Refused):
    """A mailbox of that name exists."""


class NoPermission(Refused):
    """Not allowed for this user."""


class OverQuota(Refused):
    """The account or mailbox is full."""


class TooLarge(Refused):
    """The message exceeds what the server takes."""


class NoRoom(Refused):
    """There is no room for the message where it was to go: the mailbox of a recipient is full, or the server."""


class MessageRefused(Refused):
    """The server took sender and recipients, and will not have what is in the message."""


class RecipientsRefused(Refused):
    """No recipient was accepted, and one at least was refused for good. ``refused`` maps the address, as it was given, to
    the server's reply, 4yz ones included."""

    def __init__(self, refused: dict[str, str], detail: str = "", code: str = "") -> None:
        super().__init__(detail or "; ".join(f"{address}: {reply}" for address, reply in refused.items()), code)
        self.refused = refused


class StateLost(MailError):
    """UIDVALIDITY changed or the state token is not ours: the mailbox must be read again from nothing."""


class DeliveryUncertain(MailError):
    """The connection was lost after the message was handed over and before the reply came (RFC 5321 §4.5.3.2.6)."""

    connection_lost = True


class Unsupported(MailError):
    """Asked for what ``capabilities`` denies."""
