"""Remote pictures: who may show them, and what came from their URLs, kept so that a sender cannot time openings.

For a sender whose pictures somebody always wants they are fetched when the message comes, not when it is opened; for any
other when they are first shown. What came, or that nothing came, is kept for KEPT and fetched again only after that.
"""

from __future__ import annotations

import hashlib
import http.client
import logging
import time
from collections.abc import Sequence
from datetime import timedelta

from django.core import signing
from django.core.files.base import ContentFile
from django.db import IntegrityError, transaction
from django.db.models import Sum
from django.urls import reverse
from django.utils import timezone

from webmail import outside
from webmail.mime import kinds
from webmail.models import RemotePermission, RemotePicture, forget_file
from webmail.prepared import Address, Integer, Prepared
from webmail.protocols.errors import MailError

log = logging.getLogger(__name__)
SALT = "webmail.picture"
KEPT = timedelta(days=30)
FAILURE_KEPT = timedelta(hours=6)
MOST_KEPT = 200_000_000  # octets for one account
MOST_AHEAD = 50  # pictures of one message
MOST_AT_ONCE, AHEAD_SECONDS = 500, 60.0
FORGOTTEN = 500  # at once

_permission = Prepared(
    lambda user, sender, domain: RemotePermission.objects.filter(user_id=user, sender__in=[sender, domain]),
    Integer,
    Address,
    Address,
)


def always_from(user_id: int, sender: str) -> bool:
    """The person allowed them for this sender or for all at its domain; looked up when shown, never kept with a message."""
    return bool(_permission(user_id, sender.lower(), at_domain(sender)))


def at_domain(sender: str) -> str:
    """How a permission for a whole domain is written down."""
    return "@" + sender.lower().rpartition("@")[2]


def proxy_url(account_id: int, url: str) -> str:
    """The same each time, so that browsers keep what they got from it. Only this account's person is answered there."""
    return reverse("picture", args=[signing.Signer(salt=SALT).sign_object([account_id, url], compress=True)])


def read_token(token: str) -> tuple[int, str]:
    """The account and the URL. Raises BadSignature."""
    account_id, url = signing.Signer(salt=SALT).unsign_object(token)
    return account_id, url


def kept(account_id: int, url: str) -> RemotePicture | None:
    row = RemotePicture.objects.filter(account_id=account_id, digest=_digest(url)).first()
    if row is not None and row.url and not row.type:
        return None  # it is still to be fetched, or whoever is at it may have died
    if row is None or row.fetched_at is None or row.fetched_at < timezone.now() - (KEPT if row.type else FAILURE_KEPT):
        return None
    return row


def fetch(account_id: int, url: str) -> RemotePicture:
    """Ask its server now, for ``outside.SECONDS`` at most, and keep what came."""
    picture = RemotePicture(account_id=account_id, digest=_digest(url), fetched_at=timezone.now())
    try:
        octets = outside.fetch(url)
    except (OSError, http.client.HTTPException, MailError, ValueError) as error:
        log.info("a remote picture: %s: %s", type(error).__name__, str(error)[:200])
        return _keep(picture)
    found = kinds.type_of(octets[: kinds.LOOK])
    if found in kinds.RASTER:
        picture.type, picture.size = found, len(octets)
        picture.file.save("", ContentFile(octets), save=False)
    return _keep(picture)


def _keep(picture: RemotePicture) -> RemotePicture:
    older = RemotePicture.objects.filter(account_id=picture.account_id, digest=picture.digest)
    try:
        with transaction.atomic():
            files = list(older.values_list("file", flat=True))
            older.delete()
            picture.save()
    except IntegrityError:  # another page fetched it meanwhile, or the account is gone
        forget_file(picture.file.name)
        return older.first() or RemotePicture(account_id=picture.account_id, digest=picture.digest)
    for name in files:
        forget_file(name)
    return picture


def _digest(url: str) -> str:
    return hashlib.sha256(url.encode()).hexdigest()


def want(account_id: int, urls: Sequence[str]) -> None:
    """They are fetched soon, whoever opens what or not."""
    wanted = {_digest(url): url for url in urls[:MOST_AHEAD]}
    rows = [RemotePicture(account_id=account_id, digest=digest, url=url) for digest, url in wanted.items()]
    RemotePicture.objects.bulk_create(rows, ignore_conflicts=True)


def wanting() -> list[int]:
    """Accounts for which something is to be fetched."""
    waiting = RemotePicture.objects.filter(fetched_at__isnull=True).order_by()
    return list(waiting.values_list("account_id", flat=True).distinct())


def fetch_wanted(account_id: int) -> bool:
    """One after another, the newest first, for AHEAD_SECONDS; whether there are more."""
    end = time.monotonic() + AHEAD_SECONDS
    waiting = RemotePicture.objects.filter(account_id=account_id, fetched_at__isnull=True).order_by("-pk")
    for pk, url in list(waiting.values_list("pk", "url")[:MOST_AT_ONCE]):
        if time.monotonic() > end:
            break
        if waiting.filter(pk=pk).update(fetched_at=timezone.now()):  # it is ours, whoever else is at it
            fetch(account_id, url)
    return waiting.exists()


def forget_old() -> None:
    """What is past its time, and the oldest of accounts that keep too much; FORGOTTEN of each at most."""
    _forget(list(RemotePicture.objects.filter(fetched_at__lt=timezone.now() - KEPT).order_by("fetched_at")[:FORGOTTEN]))
    sizes = RemotePicture.objects.order_by().values_list("account_id").annotate(Sum("size"))
    for account_id, total in sizes.filter(size__sum__gt=MOST_KEPT):
        oldest = RemotePicture.objects.filter(account_id=account_id).order_by("fetched_at")[:FORGOTTEN]
        gone = []
        for picture in oldest:
            if total <= MOST_KEPT:
                break
            gone.append(picture)
            total -= picture.size
        _forget(gone)


def _forget(rows: list[RemotePicture]) -> None:
    RemotePicture.objects.filter(pk__in=[row.pk for row in rows]).delete()
    for row in rows:
        forget_file(row.file.name)
