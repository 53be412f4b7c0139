"""/healthz: whether the parts of the system work, for operators and load balancers."""

from __future__ import annotations

from django.db import DatabaseError, connection
from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from webmail import events
from webmail.models import Operation, OperationState, Submission, SubmissionState

OLD_QUEUE = 600  # seconds after which waiting work means that nobody does it


@require_safe
def show(request: HttpRequest) -> JsonResponse:
    """200 if all is well, else 503; which part is not is in the JSON."""
    report: dict[str, object] = {"database": _database(), "redis": events.ping()}
    report["worker"] = bool(report["redis"]) and events.is_alive("worker")
    report["sync"] = bool(report["redis"]) and events.is_alive("sync")
    report["watch"] = bool(report["redis"]) and events.is_alive("watch")
    age = _queue_age() if report["database"] else None
    report["queue_age"] = age
    well = all(report[name] for name in ("database", "redis", "worker", "sync", "watch")) and (
        age is None or age < OLD_QUEUE
    )
    return JsonResponse({"status": "ok" if well else "trouble", **report}, status=200 if well else 503)


def _database() -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return False
    return True


def _queue_age() -> float | None:
    """Seconds that the oldest due operation or submission has waited; None if nothing waits."""
    now = timezone.now()
    waiting = Operation.objects.filter(state=OperationState.PENDING, not_before__lte=now, account__needs_user=False)
    sending = Submission.objects.filter(state=SubmissionState.WAITING, not_before__lte=now, account__needs_user=False)
    oldest = [q.order_by("not_before").values_list("not_before", flat=True).first() for q in (waiting, sending)]
    ages = [(now - moment).total_seconds() for moment in oldest if moment]
    return max(ages) if ages else None
