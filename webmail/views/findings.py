"""What a page says of a message that is more than text: why mail came back, that it was read, that it is sealed."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext, pgettext

from accounts.models import User
from webmail.models import Message

SHOWN = 10  # recipients of a report
# RFC 3463: what the second and third number of a status say. The longest that fits is taken.
REASONS = {
    "1.1": gettext_lazy("There is no such address there."),
    "1.2": gettext_lazy("There is no such mail domain."),
    "1.10": gettext_lazy("The domain takes no mail."),
    "1": gettext_lazy("Something is wrong with the address."),
    "2.1": gettext_lazy("The mailbox is switched off."),
    "2.2": gettext_lazy("The mailbox is full."),
    "2.3": gettext_lazy("The message is too large for the mailbox."),
    "2": gettext_lazy("The mailbox cannot take mail now."),
    "3.4": gettext_lazy("The message is too large for the server."),
    "3": gettext_lazy("The receiving server has a problem."),
    "4.1": gettext_lazy("The receiving server does not answer."),
    "4.7": gettext_lazy("The receiving server could not be reached in time."),
    "4": gettext_lazy("The way to the receiving server is broken."),
    "6": gettext_lazy("The receiving server cannot take a message of this form."),
    "7.1": gettext_lazy("The receiving server does not want this message."),
    "7.26": gettext_lazy("The receiving server could not verify the sender."),
    "7": gettext_lazy("The receiving server refused it for reasons of security or policy."),
}


@dataclass(slots=True)
class Finding:
    """A note above the text. ``grade`` is "", "warn" or "danger"; ``said`` are a server's own words; ``url`` leads to the
    message that it is about."""

    icon: str
    title: str
    lines: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    grade: str = ""
    url: str = ""


def findings(user: User, message: Message, facts: dict[str, Any]) -> list[Finding]:
    """``facts`` as webmail.mime.facts tells them."""
    found = []
    report = facts.get("report")
    if report:
        finding = {"bounce": _bounce, "receipt": _receipt, "complaint": _complaint}[report["is"]](report)
        finding.url = _about(user, message, report.get("message_id", ""))
        found.append(finding)
    if protection := facts.get("protection"):
        found.append(_protection(protection))
    return found


def _about(user: User, message: Message, message_id: str) -> str:
    """Where the message is that the report tells of, if it is here. A report may be forged: this says what it is about."""
    if not message_id:
        return ""
    known = Message.objects.for_user(user).filter(account_id=message.account_id, message_id=message_id).first()
    return reverse("message", args=[known.pk]) if known else ""


def _bounce(report: dict[str, Any]) -> Finding:
    recipients = report["recipients"]
    failed = [one for one in recipients if one["action"] == "failed"]
    delayed = [one for one in recipients if one["action"] == "delayed"]
    subject = report["subject"] or _("(no subject)")
    if failed:
        title = ngettext(
            "“%(subject)s” did not reach its recipient", "“%(subject)s” did not reach %(n)s recipients", len(failed)
        )
        finding = Finding("warning", title % {"subject": subject, "n": len(failed)}, grade="danger")
    elif delayed:
        finding = Finding("clock", _("“%(subject)s” is still on its way") % {"subject": subject}, grade="warn")
    else:
        finding = Finding("check", _("“%(subject)s” was delivered") % {"subject": subject})
    for one in (failed or delayed or recipients)[:SHOWN]:
        finding.lines.append(_recipient(one))
        if one["words"]:
            finding.said.append(f"{one['server']}: {one['words']}" if one["server"] else one["words"])
    more = len(failed or delayed or recipients) - SHOWN
    if more > 0:
        finding.lines.append(ngettext("And %(n)s more.", "And %(n)s more.", more) % {"n": more})
    return finding


def _recipient(one: dict[str, Any]) -> str:
    text = f"{one['original'] or one['address']}: {_reason(one['status'])}" if one["status"] else one["address"]
    if one["retried_until"]:
        text += " " + _("It is tried again until %(time)s.") % {"time": _time(one["retried_until"])}
    return text


def _reason(status: str) -> str:
    _class, _dot, detail = status.partition(".")
    if status.startswith("2."):
        return _("Delivered.")
    return str(REASONS.get(detail) or REASONS.get(detail.partition(".")[0]) or _("The server refused it."))


def _receipt(report: dict[str, Any]) -> Finding:
    words = {
        "displayed": _("“%(subject)s” was opened by %(who)s"),
        "deleted": _("“%(subject)s” was deleted by %(who)s"),
    }
    title = words.get(report["disposition"], _("“%(subject)s” was received by %(who)s"))
    who = report["original"] or report["recipient"] or _("the recipient")
    finding = Finding("check", title % {"subject": report["subject"] or _("(no subject)"), "who": who})
    if report["automatic"]:
        finding.lines.append(_("Their mail program says so by itself. Nobody may have looked at it."))
    return finding


def _complaint(report: dict[str, Any]) -> Finding:
    finding = Finding("warning", _("A recipient reported your message as %(kind)s") % report, grade="warn")
    if report["subject"]:
        finding.lines.append(f"“{report['subject']}”")
    return finding


def _protection(protection: dict[str, Any]) -> Finding:
    name = {"smime": "S/MIME", "pgp": "OpenPGP"}[protection["kind"]]
    if protection["encrypted"]:
        text = _(
            "Postkasse has no keys and cannot open it. Save it as a file and open it with a program that has yours."
        )
        return Finding("lock", _("This message is encrypted with %(name)s") % {"name": name}, [text], grade="warn")
    text = _("The signature is not checked here, so it proves nothing about the sender.")
    return Finding("shield", _("This message is signed with %(name)s") % {"name": name}, [text])


def _time(moment: str) -> str:
    return date_format(timezone.localtime(datetime.fromisoformat(moment)), pgettext("date", "j F Y H:i"))
