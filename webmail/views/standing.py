"""What a page says about whom a message is from: one sign, and in words what may deceive."""

from __future__ import annotations

from dataclasses import dataclass, field

from django.utils.translation import gettext as _

from accounts.models import User
from webmail import trust
from webmail.correspondents import is_stranger
from webmail.models import Correspondent, Message
from webmail.prepared import Integer, Prepared
from webmail.trust import Doubt, Standing

KNOWN = 300  # people last written to, whose domains a stranger's is compared with
SHOWN_LINKS = 3

_written_to = Prepared(
    lambda user: (
        Correspondent.objects.filter(account__user_id=user, written_at__isnull=False)
        .order_by("-written_at")
        .values_list("email")[:KNOWN]
    ),
    Integer,
)


@dataclass(slots=True)
class Sign:
    """``grade`` is "", "ok", "no" (not checked out) or "bad", as the look has it; ``cautions`` are sentences."""

    grade: str = ""
    title: str = ""
    reason: str = ""
    cautions: list[str] = field(default_factory=list)
    stranger: bool = False


def sign_of(user: User, message: Message, found: trust.Authentication, deceptive: list[tuple[str, str]]) -> Sign:
    """``found`` is what a trusted server says of it, ``deceptive`` the links whose text names another host."""
    domain = message.from_email.rpartition("@")[2]
    stranger = bool(domain) and is_stranger(message.account_id, message.from_email, message.received_at)
    known = {email.rpartition("@")[2] for (email,) in _written_to(user.pk)} if stranger else set()
    listed = bool(message.fields.get("list-id"))
    cautions = trust.cautions(message.sender, message.people("reply_to"), sorted(known), listed)
    one_author = len(message.people("from")) < 2  # of several, nobody knows whom the server spoke of
    sign = _standing(found, domain) if one_author else Sign()
    if any(one.doubt in (Doubt.MIXED_SCRIPTS, Doubt.LOOKS_LIKE) for one in cautions):
        sign = Sign("bad", _("Not who it seems"))
    sign.cautions = [_sentence(one) for one in cautions] + [
        _("A link that says %(seen)s leads to %(real)s.") % {"seen": seen, "real": real}
        for seen, real in deceptive[:SHOWN_LINKS]
    ]
    sign.stranger = stranger
    return sign


def _standing(found: trust.Authentication, domain: str) -> Sign:
    standing = found.standing(domain)
    if standing == Standing.VERIFIED:
        reason = _("The mail server %(server)s has checked that this comes from %(domain)s.")
        return Sign("ok", _("Verified"), reason % {"server": found.by, "domain": domain})
    if standing == Standing.FAILED:
        reason = _("The mail server %(server)s found that this does not come from %(domain)s.")
        return Sign("bad", _("Not verified"), reason % {"server": found.by, "domain": domain})
    return Sign()


def _sentence(caution: trust.Caution) -> str:
    words = {
        Doubt.NAME_HOLDS_ADDRESS: _("The name says %(seen)s, but the address is %(real)s."),
        Doubt.MIXED_SCRIPTS: _("%(seen)s is written with letters of several alphabets. Its true name is %(real)s."),
        Doubt.LOOKS_LIKE: _("The address is at %(real)s, which is easily taken for %(seen)s."),
        Doubt.REPLY_ELSEWHERE: _("Answers go to %(real)s, not to %(seen)s."),
    }
    return words[caution.doubt] % {"seen": caution.seen, "real": caution.real}
