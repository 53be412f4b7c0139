"""What to tell a person when a server says no: one sentence of what happened, one of what to do, the server's words beside it."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.translation import gettext as _

from webmail.protocols import errors


@dataclass(frozen=True, slots=True)
class Trouble:
    """``what`` happened, what to do (``advice``), and the server's own words (``detail``), never reworded."""

    what: str
    advice: str
    detail: str = ""


def explain(error: errors.MailError, host: str) -> Trouble:
    """The first class of the tree that fits; ``host`` is the server that was talked to."""
    for kind, words in _EXPLANATIONS:
        if isinstance(error, kind):
            what, advice = words(host)
            return Trouble(what, advice, error.detail)
    raise TypeError(f"not a mail error: {error!r}")


def explain_discovery(domain: str) -> Trouble:
    return Trouble(
        _("We could not find the mail servers of %(domain)s.") % {"domain": domain},
        _("Check the address, or fill in the servers below; your provider's help pages name them."),
    )


def _unreachable(host: str) -> tuple[str, str]:
    return (
        _("%(host)s does not answer.") % {"host": host},
        _(
            "It may be down, or the port may be closed on the way. Try again in a minute, or check the server name and port."
        ),
    )


def _insecure(host: str) -> tuple[str, str]:
    return (
        _("No safe connection to %(host)s is possible, so your password was not sent.") % {"host": host},
        _("The certificate may be expired or made for another name. Check the server name, or tell its operator."),
    )


def _password(host: str) -> tuple[str, str]:
    return (
        _("%(host)s does not accept this address and password.") % {"host": host},
        _("Type the password again. Some providers want an app password, made on their website."),
    )


def _later(host: str) -> tuple[str, str]:
    return _("%(host)s is busy.") % {"host": host}, _("It asks to be tried again in a few minutes.")


def _protocol(host: str) -> tuple[str, str]:
    return (
        _("%(host)s answered in a way that makes no sense.") % {"host": host},
        _("Check that the port belongs to the kind of server chosen."),
    )


def _private(host: str) -> tuple[str, str]:
    return (
        _("%(host)s did not allow this.") % {"host": host},
        _(
            "The words beside this say why. If it concerns the server's address, the operator of this site can allow it."
        ),
    )


def _not_found(host: str) -> tuple[str, str]:
    return _("It is not on %(host)s any more.") % {"host": host}, _("Another program may have moved or deleted it.")


def _exists(host: str) -> tuple[str, str]:
    return _("%(host)s already has a folder of that name.") % {"host": host}, _("Choose another name.")


def _permission(host: str) -> tuple[str, str]:
    return _("%(host)s does not let you do this.") % {"host": host}, _("The folder may be shared or protected.")


def _quota(host: str) -> tuple[str, str]:
    return (
        _("The mailbox on %(host)s is full.") % {"host": host},
        _("Delete something large and empty the trash, then try again."),
    )


def _too_large(host: str) -> tuple[str, str]:
    return (
        _("The message is larger than %(host)s takes.") % {"host": host},
        _("Remove an attachment or make it smaller, then send again."),
    )


def _no_room(host: str) -> tuple[str, str]:
    return _full(host), _(
        "Nothing is wrong with the message. Tell the recipient in another way, or send it again later."
    )


def _no_room_yet(host: str) -> tuple[str, str]:
    return _full(host), _("It asks to be tried again in a few minutes.")


def _full(host: str) -> str:
    return _(
        "There is no room for the message where it was to go: the mailbox of a recipient is full, or %(host)s itself."
    ) % {"host": host}


def _recipients(host: str) -> tuple[str, str]:
    return _("%(host)s refused the recipients.") % {"host": host}, _("Check the addresses, then send again.")


def _message(host: str) -> tuple[str, str]:
    return (
        _("%(host)s would not take this message.") % {"host": host},
        _(
            "It has nothing against the recipients. Its words say why: text, links or a kind of file that it takes for harmful, "
            "perhaps. Change the message, then send again."
        ),
    )


def _uncertain(host: str) -> tuple[str, str]:
    return (
        _("The connection to %(host)s was lost just after the message was handed over.") % {"host": host},
        _("It may or may not have been delivered. Ask a recipient, or look in Sent, before you send it again."),
    )


def _unsupported(host: str) -> tuple[str, str]:
    return _("%(host)s cannot do this.") % {"host": host}, _("The kind of account does not offer it.")


def _state(host: str) -> tuple[str, str]:
    return _("%(host)s has rebuilt this folder.") % {"host": host}, _("It is being read again from the start.")


_EXPLANATIONS = (
    (errors.RecipientsRefused, _recipients),
    (errors.MessageRefused, _message),
    (errors.TooLarge, _too_large),
    (errors.OverQuota, _quota),
    (errors.NoRoom, _no_room),
    (errors.NoPermission, _permission),
    (errors.AlreadyExists, _exists),
    (errors.NotFound, _not_found),
    (errors.Refused, _private),
    (errors.StateLost, _state),
    (errors.DeliveryUncertain, _uncertain),
    (errors.Unsupported, _unsupported),
    (errors.ProtocolError, _protocol),
    (errors.NoRoomYet, _no_room_yet),
    (errors.Unavailable, _later),
    (errors.AuthenticationFailed, _password),
    (errors.InsecureConnection, _insecure),
    (errors.Unreachable, _unreachable),
    (errors.MailError, _unreachable),
)
