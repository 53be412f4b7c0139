"""A server is asked for all that was received in a time, wherever it thinks that it is and whatever its clock says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from webmail.protocols.base import Condition
from webmail.protocols.imap.criteria import Able, search_arguments

NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
hours = st.integers(-400, 200).map(lambda quarters: timedelta(minutes=15 * quarters))
zones = st.integers(-12, 14).map(lambda ahead: timezone(timedelta(hours=ahead)))
skews = st.integers(-55, 55).map(lambda minutes: timedelta(minutes=minutes))


def finds(condition: Condition, able: Able, at: datetime, zone: timezone, clock: datetime) -> bool:
    """What such a server says of a message of that time."""
    (argument,) = [b" ".join(part for part in search_arguments(condition, able) if isinstance(part, bytes))]
    *negated, name, value = argument.decode().split()
    if name in ("SINCE", "BEFORE"):
        day = datetime.strptime(value, "%d-%b-%Y").date()
        found = (at.astimezone(zone).date() >= day) is (name == "SINCE")
    else:
        assert int(value) > 0
        moment = clock - timedelta(seconds=int(value))
        found = at >= moment if name == "YOUNGER" else at <= moment
    return found is not bool(negated)


@given(hours, hours, zones, skews, st.sampled_from([Able(), Able(now=NOW)]))
def test_all_is_found_that_came_in_the_time_and_little_besides(
    bound: timedelta, came: timedelta, zone: timezone, skew: timedelta, able: Able
) -> None:
    since, at = NOW + bound, NOW + came
    in_seconds = able.now and since < NOW - timedelta(hours=1)
    most = timedelta(hours=2) if in_seconds else timedelta(days=3)
    after, before = Condition(after=since), Condition(before=since)
    for condition in (after, Condition(none_of=(before,))):
        if at >= since:
            assert finds(condition, able, at, zone, NOW + skew)
        if at < since - most:
            assert not finds(condition, able, at, zone, NOW + skew)
    for condition in (before, Condition(none_of=(after,))):
        if at < since:
            assert finds(condition, able, at, zone, NOW + skew)
        if at > since + most:
            assert not finds(condition, able, at, zone, NOW + skew)


def test_what_is_too_long_ago_for_seconds_is_told_in_days() -> None:
    assert search_arguments(Condition(after=datetime(1900, 1, 1, tzinfo=UTC)), Able(now=NOW)) == [b"SINCE 31-Dec-1899"]
    assert search_arguments(Condition(before=NOW - timedelta(days=1)), Able(now=NOW)) == [b"OLDER 82800"]
    assert search_arguments(Condition(after=NOW - timedelta(days=1)), Able(now=NOW)) == [b"YOUNGER 90000"]
