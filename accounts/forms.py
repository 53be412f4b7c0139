"""Forms of signing in, of accounts and of preferences."""

from __future__ import annotations

import re
import zoneinfo
from typing import Any

from django import forms
from django.conf import settings
from django.core.validators import EmailValidator
from django.utils.translation import gettext_lazy as _

from accounts.discovery import BadURL, Candidate, ServerURL
from accounts.models import MAX_PATTERNS, MAX_STARS, Account, AfterDownload, Identity, Keep, User
from accounts.sign_in import manual_candidate
from webmail.protocols.base import Security

_SUFFIX = {Security.TLS: "s", Security.STARTTLS: "+starttls", Security.PLAIN: ""}
SECURITIES = [("tls", "TLS"), ("starttls", "STARTTLS"), ("plain", _("None"))]


class AddressField(forms.CharField):
    """A mail address; international local parts and domains are let through to the server, which knows (RFC 6532)."""

    def clean(self, value: Any) -> str:
        address = super().clean(value).strip()
        local, at, domain = address.rpartition("@")
        try:
            ascii_domain = domain.encode("idna").decode() if domain else ""
        except UnicodeError:
            ascii_domain = ""
        stand_in = "".join(c if c.isascii() else "x" for c in local)  # RFC 6532 §3.2 lets letters of all scripts in
        if ascii_domain and at:
            EmailValidator(_("Enter a mail address, such as kari@example.org."), allowlist=["localhost"])(
                f"{stand_in}@{ascii_domain}"
            )
            return f"{local}@{domain.lower()}"
        raise forms.ValidationError(_("Enter a mail address, such as kari@example.org."))


class ServersMixin(forms.Form):
    """Host, port and security of both servers; shown only where discovery found nothing."""

    username = forms.CharField(label=_("User name"), required=False, max_length=254)
    incoming_protocol = forms.ChoiceField(label=_("Kind"), choices=[("imap", "IMAP"), ("pop3", "POP3")], required=False)
    incoming_host = forms.CharField(label=_("Incoming server"), required=False, max_length=253)
    incoming_port = forms.IntegerField(label=_("Port"), required=False, min_value=1, max_value=65535)
    incoming_security = forms.ChoiceField(label=_("Security"), choices=SECURITIES, required=False)
    outgoing_host = forms.CharField(label=_("Outgoing server"), required=False, max_length=253)
    outgoing_port = forms.IntegerField(label=_("Port"), required=False, min_value=1, max_value=65535)
    outgoing_security = forms.ChoiceField(label=_("Security"), choices=SECURITIES, required=False)

    def _url(self, side: str, protocol: str) -> str:
        data = self.cleaned_data
        host = (data.get(f"{side}_host") or "").strip()
        if not host:
            return ""
        suffix = _SUFFIX[Security(data.get(f"{side}_security") or "tls")]
        port = data.get(f"{side}_port")
        host = f"[{host}]" if ":" in host and not host.startswith("[") else host
        try:
            return str(ServerURL.parse(f"{protocol}{suffix}://{host}" + (f":{port}" if port else "")))
        except BadURL as error:
            self.add_error(f"{side}_host", str(error))
            return ""

    def by_hand(self, address: str) -> Candidate | None:
        """The settings typed in; None if the person left them to discovery."""
        incoming = self._url("incoming", self.cleaned_data.get("incoming_protocol") or "imap")
        if not incoming:
            return None
        fields = {
            "incoming": incoming,
            "outgoing": self._url("outgoing", "smtp"),
            "username": self.cleaned_data.get("username", ""),
        }
        return manual_candidate(address, fields)


class SignInForm(ServersMixin):
    address = AddressField(label=_("Mail address"), max_length=254)
    password = forms.CharField(label=_("Password"), strip=False, max_length=1000, widget=forms.PasswordInput)


class AccountForm(SignInForm):
    """One more account."""

    name = forms.CharField(label=_("Name"), required=False, max_length=80)


class AccountEditForm(ServersMixin):
    """An existing account; a changed host needs the password again, because it goes to no host it was not saved for."""

    name = forms.CharField(label=_("Name"), required=False, max_length=80)
    password = forms.CharField(
        label=_("Password"), strip=False, required=False, max_length=1000, widget=forms.PasswordInput
    )
    files_sent = forms.BooleanField(label=_("The provider files sent mail itself"), required=False)
    believed = forms.CharField(label=_("Servers whose checks of senders are believed"), max_length=500, required=False)
    hue = forms.TypedChoiceField(
        label=_("Colour"), coerce=int, empty_value=None, required=False,
        choices=[(1, _("Fjord")), (2, _("Rust")), (3, _("Moss")), (4, _("Lingonberry"))],
    )  # fmt: skip
    keep = forms.ChoiceField(label=_("Kept here ahead"), choices=Keep.choices, required=False)
    keep_days = forms.IntegerField(label=_("Days"), min_value=1, max_value=3650, required=False)
    after_download = forms.ChoiceField(label=_("Once downloaded"), choices=AfterDownload.choices, required=False)
    leave_days = forms.IntegerField(label=_("Days"), min_value=1, max_value=3650, required=False)
    first = forms.BooleanField(label=_("Write from this account unless said otherwise"), required=False)
    outgoing_shown = forms.CharField(required=False)  # as the account had it when the page was made

    @staticmethod
    def initial_of(account: Account) -> dict[str, Any]:
        kept = ("name", "username", "files_sent", "believed", "keep", "keep_days", "after_download", "leave_days")
        initial: dict[str, Any] = {name: getattr(account, name) for name in kept}
        initial |= {"hue": account.colour, "first": account.pk == account.user.account_list[0].pk}
        initial["outgoing_shown"] = account.outgoing
        for side, url in (("incoming", account.incoming), ("outgoing", account.outgoing)):
            if url:
                parsed = ServerURL.parse(url)
                initial |= {
                    f"{side}_host": parsed.host,
                    f"{side}_port": parsed.port,
                    f"{side}_security": parsed.security.value,
                }
                if side == "incoming":
                    initial["incoming_protocol"] = parsed.protocol
        return initial

    def clean_believed(self) -> str:
        names = self.cleaned_data["believed"].replace(",", " ").lower().split()
        if odd := next((name for name in names if not re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)+", name)), ""):
            raise forms.ValidationError(_("%(name)s is not the name of a server.") % {"name": odd})
        return " ".join(dict.fromkeys(names))

    def settle(self, account: Account) -> list[str]:
        """Take over what concerns no server; the names of the columns to save."""
        data = self.cleaned_data
        account.name, account.files_sent, account.hue = data["name"], data["files_sent"], data["hue"]
        account.believed = data["believed"]
        columns = ["name", "files_sent", "hue", "believed"]
        for column in ("keep", "keep_days", "after_download", "leave_days"):
            if data[column]:  # a form without them leaves them as they are
                setattr(account, column, data[column])
                columns.append(column)
        return columns


class IdentityForm(forms.ModelForm):
    reply_to = forms.EmailField(required=False)

    class Meta:
        model = Identity
        fields = ["name", "address", "signature", "signature_below", "reply_to", "patterns"]

    def clean_patterns(self) -> str:
        patterns = self.cleaned_data["patterns"].replace(",", " ").split()
        wrong = [one for one in patterns if one.count("@") != 1 or one.count("*") > MAX_STARS or one.endswith("@*")]
        if wrong:
            raise forms.ValidationError(
                _("Not an address with * in it: %(pieces)s") % {"pieces": ", ".join(wrong)}, code="pattern"
            )
        if len(patterns) > MAX_PATTERNS:
            raise forms.ValidationError(_("At most %(n)d addresses.") % {"n": MAX_PATTERNS})
        return " ".join(patterns)

    def clean_name(self) -> str:
        """On one line: it becomes part of a header field."""
        return " ".join(self.cleaned_data["name"].split())


def time_zones() -> list[tuple[str, str]]:
    names = sorted(
        name
        for name in zoneinfo.available_timezones()
        if "/" in name and not name.startswith(("Etc/", "posix", "right"))
    )
    return [
        ("", _("As the server: %(zone)s") % {"zone": settings.TIME_ZONE}),
        *((n, n.replace("_", " ")) for n in names),
        ("UTC", "UTC"),
    ]


def _is_true(value: Any) -> bool:
    return str(value) == "True"


class PreferencesForm(forms.ModelForm):
    language = forms.ChoiceField(
        label=_("Language"), required=False, choices=[("", _("As the browser")), *settings.LANGUAGES]
    )
    theme = forms.ChoiceField(label=_("Theme"), choices=settings.THEMES)
    time_zone = forms.ChoiceField(label=_("Time zone"), required=False, choices=time_zones)
    undo_send = forms.TypedChoiceField(
        label=_("Undo send"),
        coerce=int,
        choices=[
            (0, _("Off")),
            (5, _("5 seconds")),
            (10, _("10 seconds")),
            (30, _("30 seconds")),
            (60, _("60 seconds")),
        ],
    )
    rich_text = forms.TypedChoiceField(
        label=_("New messages"), coerce=_is_true, choices=[("False", _("Plain text")), ("True", _("Rich text"))]
    )
    page_size = forms.TypedChoiceField(
        label=_("Messages a page"), coerce=int, choices=[(n, str(n)) for n in (25, 50, 100, 200)]
    )
    conversations = forms.TypedChoiceField(
        label=_("Rows of lists"),
        coerce=_is_true,
        choices=[("True", _("Conversations")), ("False", _("Single messages"))],
    )
    newest_on_top = forms.TypedChoiceField(
        label=_("Order of a conversation"),
        coerce=_is_true,
        choices=[("False", _("Oldest message on top")), ("True", _("Newest message on top"))],
    )

    class Meta:
        model = User
        fields = [
            "language", "theme", "time_zone", "undo_send", "rich_text", "page_size", "conversations",
            "newest_on_top", "notify",
        ]  # fmt: skip
        labels = {"notify": _("Notify me of new mail")}
