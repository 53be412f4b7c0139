"""Signing in and out, preferences, accounts and identities."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from django.conf import settings
from django.contrib.auth import login, logout
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from accounts import throttle
from accounts.discovery import Candidate, ServerURL, in_table
from accounts.forms import AccountEditForm, AccountForm, IdentityForm, PreferencesForm, SignInForm
from accounts.models import Account, Identity, User, fold
from accounts.requests import Request
from accounts.sign_in import CannotSignIn, demo_sign_in, save_account, verify
from accounts.troubles import Trouble
from webmail.protocols.base import MailStore

log = logging.getLogger(__name__)

# webmail.apps says here what to do with a freshly verified account and its open connection; accounts know no sync.
_welcome: Callable[[Account, MailStore | None, bool], None] | None = None


_farewell: Callable[[int, int], None] | None = None
_holdings: Callable[[Account], dict[str, int]] | None = None


def on_account(
    welcome: Callable[[Account, MailStore | None, bool], None],
    farewell: Callable[[int, int], None],
    holdings: Callable[[Account], dict[str, int]],
) -> None:
    global _welcome, _farewell, _holdings
    _welcome, _farewell, _holdings = welcome, farewell, holdings


# What the settings pages show beside their own: the sidebar of webmail, told in the same way.
_page_context: Callable[[Request, str], dict[str, Any]] | None = None


def on_page(context: Callable[[Request, str], dict[str, Any]]) -> None:
    global _page_context
    _page_context = context


def _greet(account: Account, store: MailStore | None, moved: bool = False) -> None:
    """``moved``: its mail is on another server from now on."""
    if _welcome:
        _welcome(account, store, moved)
    elif store:
        store.close()


def _surroundings(request: Request, current: str) -> dict[str, Any]:
    shown = _page_context(request, current) if _page_context else {}
    return {**shown, "own_accounts": Account.objects.for_user(request.user), "section": current}


# --- signing in -------------------------------------------------------------------------------------------------


@never_cache
@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
def sign_in(request: HttpRequest) -> HttpResponse:
    """The person's own mail server decides. Further fields appear only where the servers cannot be found."""
    after = request.POST.get("next") or request.GET.get("next") or "/"
    if not url_has_allowed_host_and_scheme(after, allowed_hosts=None) or not after.startswith("/"):
        after = "/"
    if request.user.is_authenticated and request.method != "POST":
        return redirect(after)
    form = SignInForm(request.POST or None)
    context: dict[str, Any] = {
        "form": form,
        "next": after,
        "demo": demo_sign_in(),
        "ask": bool(request.POST.get("incoming_host")),
    }
    if request.method != "POST":
        return render(request, "accounts/sign_in.html", context)
    if not form.is_valid():
        return render(request, "accounts/sign_in.html", context, status=422)
    address, password, network = (
        form.cleaned_data["address"],
        form.cleaned_data["password"],
        request.META.get("REMOTE_ADDR", ""),
    )
    if throttle.is_blocked(address, network):
        context["trouble"] = Trouble(_("Too many tries."), _("Wait five minutes, then try again."))
        return render(request, "accounts/sign_in.html", context, status=429)
    try:
        user = _admit(address, password, form.by_hand(address))
    except CannotSignIn as error:
        throttle.count_failure(address, network)
        context |= {"trouble": error.trouble, "ask": error.ask}
        return render(request, "accounts/sign_in.html", context, status=401)
    if form.errors:
        return render(request, "accounts/sign_in.html", context | {"ask": True}, status=422)
    throttle.forget(address, network)
    language = get_language() or ""
    if user.browser_language != language:
        User.objects.filter(pk=user.pk).update(browser_language=language)
    login(request, user, backend="accounts.sessions.Backend")
    if not request.POST.get("keep"):
        request.session.set_expiry(0)
    return HttpResponseRedirect(after)


def _handle(address: str, by_hand: Candidate | None) -> str:
    """Who this is: the owner of the address, or somebody whose server was typed in (see accounts.models)."""
    if by_hand is None:
        return fold(address)
    return f"{fold(address)} at {by_hand.incoming.host.lower()}:{by_hand.incoming.port}"


def _admit(address: str, password: str, by_hand: Candidate | None) -> User:
    """The user, after a server took the password. Raises CannotSignIn."""
    handle = _handle(address, by_hand)
    known = next(
        (a for a in Account.objects.filter(user__handle=handle).select_related("user") if a.is_of(address)), None
    )
    listed = in_table(address) if by_hand is None else None
    moved = known is not None and listed is not None and str(listed.incoming) != known.incoming
    if known and known.user.is_active and not moved:  # the operator's word about a domain outweighs what was stored
        if known.vouches_for(password, timezone.now()):
            return known.user
        try:
            return _admit_known(known, password)
        except CannotSignIn as error:
            if by_hand or not getattr(error.__cause__, "connection_lost", False):
                raise
            log.info("%s: the known server is away, looking whether the address leads elsewhere now", known)
    accepted = verify(address, password, by_hand)
    user = User.objects.filter(handle=handle).first() or User.objects.create_user(address, handle=handle)
    if not user.is_active:
        accepted.store.close()
        raise CannotSignIn(
            Trouble(_("This address may not sign in here."), _("Ask the operator of this site.")), ask=False
        )
    account = save_account(user, known.address if known else address, password, accepted.candidate)
    _greet(account, accepted.store, moved=known is not None)
    return user


def _admit_known(account: Account, password: str) -> User:
    """Settings are known already. With the server away, the password it last took still opens the mail we keep."""
    candidate = Candidate(
        ServerURL.parse(account.incoming),
        ServerURL.parse(account.outgoing) if account.outgoing else None,
        account.username,
        True,
        "known",
    )
    try:
        accepted = verify(account.address, password, candidate)
    except CannotSignIn as error:
        away = error.__cause__ is not None and getattr(error.__cause__, "retryable", False)
        if away and not account.needs_user and account.knows(password):
            log.info("%s signed in while their server is away", account)
            return account.user
        raise
    account.remember(password)
    account.save_verified(servers=False)
    _greet(account, accepted.store)
    return account.user


@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    logout(request)
    response = redirect("accounts:sign-in")
    response["Clear-Site-Data"] = '"storage"'  # texts that the browser kept belong to whoever signed out
    return response


# --- preferences ------------------------------------------------------------------------------------------------


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def preferences(request: Request) -> HttpResponse:
    form = PreferencesForm(request.POST or None, instance=request.user)
    if request.method == "POST" and form.is_valid():
        form.save()
        return redirect(reverse("accounts:settings") + "?saved=1")
    context = {**_surroundings(request, "settings"), "form": form, "saved": "saved" in request.GET}
    return render(request, "accounts/preferences.html", context, status=422 if form.errors else 200)


# --- accounts ---------------------------------------------------------------------------------------------------


@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def create_account(request: Request) -> HttpResponse:
    form = AccountForm(request.POST or None)
    context = {
        **_surroundings(request, "account-creation"),
        "form": form,
        "ask": bool(request.POST.get("incoming_host")),
    }
    if request.method != "POST" or not form.is_valid():
        return render(request, "accounts/create.html", context, status=422 if form.errors else 200)
    address = form.cleaned_data["address"]
    by_hand = form.by_hand(address)
    if form.errors:
        return render(request, "accounts/create.html", context | {"ask": True}, status=422)
    try:
        accepted = verify(address, form.cleaned_data["password"], by_hand)
    except CannotSignIn as error:
        return render(
            request, "accounts/create.html", context | {"trouble": error.trouble, "ask": error.ask}, status=401
        )
    account = save_account(request.user, address, form.cleaned_data["password"], accepted.candidate)
    if form.cleaned_data["name"]:
        account.name = form.cleaned_data["name"]
        account.save(update_fields=["name"])
    _greet(account, accepted.store)
    return redirect(reverse("accounts:account", args=[account.pk]) + "?saved=1")


def _own(request: Request, pk: int) -> Account:
    return get_object_or_404(Account.objects.for_user(request.user), pk=pk)


@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def account(request: Request, pk: int) -> HttpResponse:
    """Name, servers and password of an account; what is saved was tried against the server first."""
    own = _own(request, pk)
    form = AccountEditForm(request.POST or None, initial=AccountEditForm.initial_of(own))
    context = {
        **_surroundings(request, f"account-{pk}"), "account": own, "form": form, "saved": "saved" in request.GET,
        "identities": own.identities.all(), "demo": settings.DEMO,
    }  # fmt: skip
    if request.method != "POST" or not form.is_valid():
        return render(request, "accounts/account.html", context, status=422 if form.errors else 200)
    trouble = _save_edited(own, form)
    if trouble or form.errors:
        return render(request, "accounts/account.html", context | {"trouble": trouble}, status=422)
    return redirect(reverse("accounts:account", args=[pk]) + "?saved=1")


def _save_edited(own: Account, form: AccountEditForm) -> Trouble | None:
    """Raises nothing: what the server said comes back to be shown."""
    data = form.cleaned_data
    candidate = form.by_hand(own.address)
    if form.errors or candidate is None:
        form.add_error("incoming_host", _("An account needs a server to read from."))
        return None
    if own.outgoing and str(candidate.outgoing or "") == data["outgoing_shown"]:
        candidate = replace(candidate, outgoing=ServerURL.parse(own.outgoing))  # a worker may have found it meanwhile
    kept = (own.keep, own.keep_days)
    own.save(update_fields=form.settle(own))
    if kept != (own.keep, own.keep_days):
        own.mailboxes.update(text_until="")  # what to fetch ahead is looked at from the top again
    if data["first"]:
        own.put_first()
    servers_same = (str(candidate.incoming), str(candidate.outgoing or ""), candidate.username) == (
        own.incoming,
        own.outgoing,
        own.username,
    )
    if servers_same and not data["password"]:
        return None
    if not data["password"]:
        form.add_error("password", _("Type the password again: it is not sent to a server it was not saved for."))
        return None
    if own.downloads != (candidate.incoming.protocol == "pop3"):
        form.add_error("incoming_host", _("To change between IMAP and POP3, remove the account and add it again."))
        return None
    try:
        accepted = verify(own.address, data["password"], candidate)
    except CannotSignIn as error:
        return error.trouble
    moved = (own.incoming, own.username) != (str(candidate.incoming), candidate.username)
    own.outgoing_settled = own.outgoing_settled or own.outgoing != str(candidate.outgoing or "")
    own.incoming, own.outgoing, own.username = (
        str(candidate.incoming),
        str(candidate.outgoing or ""),
        candidate.username,
    )
    own.remember(data["password"])
    own.save_verified()
    _greet(own, accepted.store, moved)
    return None


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def remove_account(request: Request, pk: int) -> HttpResponse:
    """Asks first, and says how much goes: mail stays on the server, but that of a downloading account is only here."""
    own = _own(request, pk)
    if request.method != "POST":
        held = _holdings(own) if _holdings else {}
        context = {**_surroundings(request, f"account-{pk}"), "account": own, "held": held}
        return render(request, "accounts/remove.html", context)
    own.delete()
    if _farewell:
        _farewell(pk, request.user.pk)
    return redirect("accounts:settings")


# --- identities -------------------------------------------------------------------------------------------------


def _identity_page(request: Request, own: Account, form: IdentityForm, existing: Identity | None) -> HttpResponse:
    context = {**_surroundings(request, f"account-{own.pk}"), "account": own, "form": form, "identity": existing}
    return render(request, "accounts/identity.html", context, status=422 if form.errors else 200)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def create_identity(request: Request, pk: int) -> HttpResponse:
    own = _own(request, pk)
    form = IdentityForm(request.POST or None, instance=Identity(account=own, address=own.address))
    if request.method == "POST" and form.is_valid():
        form.save()
        return redirect("accounts:account", pk=own.pk)
    return _identity_page(request, own, form, None)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def identity(request: Request, pk: int) -> HttpResponse:
    existing = get_object_or_404(Identity.objects.for_user(request.user).select_related("account"), pk=pk)
    form = IdentityForm(request.POST or None, instance=existing)
    if request.method == "POST" and form.is_valid():
        saved = form.save()
        if request.POST.get("default"):
            Identity.objects.filter(account=existing.account).update(is_default=False)
            Identity.objects.filter(pk=saved.pk).update(is_default=True)
        return redirect("accounts:account", pk=existing.account_id)
    return _identity_page(request, existing.account, form, existing)


@require_POST
@login_required
def remove_identity(request: Request, pk: int) -> HttpResponse:
    existing = get_object_or_404(Identity.objects.for_user(request.user), pk=pk)
    if Identity.objects.filter(account_id=existing.account_id).count() > 1:
        existing.delete()
    return redirect("accounts:account", pk=existing.account_id)
