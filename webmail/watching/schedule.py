"""Pure: who is active, and how long until an account is asked for what nobody told of."""

from __future__ import annotations

from datetime import datetime, timedelta

ACTIVE = timedelta(hours=6)  # since the person was last seen
SHORTEST, LONGEST = 60, 30 * 60  # seconds between two polls
LONGEST_ACTIVE = 5 * 60  # while somebody may be looking
SHORTER, LONGER = 0.5, 1.5


def active_since(now: datetime) -> datetime:
    """Whoever was seen after this is active."""
    return now - ACTIVE


def next_interval(seconds: int, found: bool) -> int:
    """How long to wait for the next poll, after one that came ``seconds`` after the last and ``found`` mail or not."""
    return round(min(max(seconds * (SHORTER if found else LONGER), SHORTEST), LONGEST))


def wait(seconds: int, push: str, active: bool) -> timedelta:
    """Until the next poll. NOTIFY tells of every folder, so that polling is only a precaution; IDLE of the inbox alone."""
    if push == "notify":
        return timedelta(seconds=LONGEST)
    return timedelta(seconds=min(seconds, LONGEST_ACTIVE) if active else seconds)
