"""Times that do not say their zone, brought to UTC by the engine itself, which knows no zone by name.

A time in the hour that a clock goes through twice is taken as the first of the two; one in the hour that a clock
leaves out is taken as if the clock had not been put forward yet. Both are counted, since nothing tells better.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

FIRST_YEAR, LAST_YEAR = 1990, 2037
"""The rules of these years are used; what is before or after has the offset of the first or the last of them."""

_STEP = timedelta(hours=12)


@dataclass(frozen=True)
class Change:
    """One change of a zone's offset. `time` is the first local time, by the old offset, that it concerns."""

    time: datetime
    before: timedelta
    after: timedelta

    @property
    def until(self) -> datetime:
        """The first local time that certainly has the new offset."""
        return self.time + max(self.after - self.before, timedelta(0))

    @property
    def unclear(self) -> tuple[datetime, datetime]:
        """The local times that were never, or were twice: from the first, before the second."""
        return (min(self.time, self.time + self.after - self.before), self.until)

    @property
    def skips(self) -> bool:
        """Whether the clock is put forward."""
        return self.after > self.before


@lru_cache
def changes(zone: ZoneInfo) -> Sequence[Change]:
    """The changes of the zone's offset, in their order."""
    return tuple(_changes(zone))


def _changes(zone: ZoneInfo) -> Iterator[Change]:
    instant, end = datetime(FIRST_YEAR, 1, 1, tzinfo=UTC), datetime(LAST_YEAR + 1, 1, 1, tzinfo=UTC)
    while instant < end:
        before, after = _offset(instant, zone), _offset(instant + _STEP, zone)
        if before != after:
            first = _first_with_other_offset(instant, zone)
            yield Change((first + before).replace(tzinfo=None), before, after)
        instant += _STEP


def _first_with_other_offset(instant: datetime, zone: ZoneInfo) -> datetime:
    before, low, high = _offset(instant, zone), 0, int(_STEP.total_seconds())
    while high - low > 1:
        middle = (low + high) // 2
        if _offset(instant + timedelta(seconds=middle), zone) == before:
            low = middle
        else:
            high = middle
    return instant + timedelta(seconds=high)


def _offset(instant: datetime, zone: ZoneInfo) -> timedelta:
    offset = instant.astimezone(zone).utcoffset()
    assert offset is not None
    return offset


def is_utc(zone: ZoneInfo) -> bool:
    """Whether times of this zone are UTC as they stand."""
    return not changes(zone) and not _offset(datetime(FIRST_YEAR, 1, 1, tzinfo=UTC), zone)


def to_utc(column: str, zone: ZoneInfo) -> str:
    """SQL: the time of a column as UTC; NULL stays NULL."""
    if is_utc(zone):
        return column
    first = (
        changes(zone)[0].before if changes(zone) else _offset(datetime(FIRST_YEAR, 1, 1, tzinfo=UTC), zone)
    )
    return f"({column} - INTERVAL {_seconds(column, first, changes(zone))} SECOND)"


def _seconds(column: str, first: timedelta, later: Sequence[Change]) -> str:
    # Halved again and again: a time is compared a few times, not with every change there was.
    if not later:
        return str(int(first.total_seconds()))
    middle = len(later) // 2
    change = later[middle]
    earlier = _seconds(column, first, later[:middle])
    return (
        f"IF({column} < '{change.until}', {earlier}, {_seconds(column, change.after, later[middle + 1 :])})"
    )


def unclear(column: str, zone: ZoneInfo, *, skipped: bool) -> str:
    """SQL: whether the time of a column was never (`skipped`), or was twice; false for NULL."""
    spans = [change.unclear for change in changes(zone) if change.skips is skipped]
    within = " OR ".join(f"{column} >= '{start}' AND {column} < '{end}'" for start, end in spans)
    return f"COALESCE({within or 'FALSE'}, FALSE)"
