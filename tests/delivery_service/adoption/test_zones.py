"""The engine turns local times into UTC as the rules of the zone say, the hours of a changed clock included."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from delivery_service.adoption.zones import changes, is_utc, to_utc, unclear

# Half an hour (Lord Howe), a whole day left out (Apia 2011), southern summers, none at all, and one before Greenwich.
ZONES = (
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Asia/Shanghai",
    "Asia/Kolkata",
)


def local_times(zone: ZoneInfo) -> list[datetime]:
    """Times of every season, and those around each change."""
    plain = [
        datetime.fromisoformat("1995-01-01") + timedelta(days=97 * n, minutes=13 * n) for n in range(150)
    ]
    steps = [timedelta(minutes=minutes) for minutes in (-1441, -61, -31, -1, 0, 1, 29, 59, 61, 1441)]
    return plain + [change.time + step for change in changes(zone)[:60] for step in steps]


@pytest.mark.parametrize("key", ZONES)
async def test_times_of_a_zone_become_utc(engine: AsyncEngine, key: str) -> None:
    zone = ZoneInfo(key)
    times = local_times(zone)
    rows = " UNION ALL ".join(f"SELECT CAST('{time}' AS DATETIME) AS t" for time in times)
    select = f"SELECT t, {to_utc('t', zone)}, {unclear('t', zone, skipped=True)}, {unclear('t', zone, skipped=False)}"

    async with engine.connect() as connection:
        found = (await connection.exec_driver_sql(f"{select} FROM ({rows}) AS times")).all()

    assert len(found) == len(times)
    for row in found:
        local, utc, skipped, twice = tuple(row)
        first, second = (local.replace(tzinfo=zone, fold=fold).utcoffset() for fold in (0, 1))
        # The first of two; in a gap Python's first is the offset before it.
        assert utc == local - first, local
        assert (bool(skipped), bool(twice)) == (first < second, first > second), local


async def test_utc_and_nothing_stay_as_they_are(engine: AsyncEngine) -> None:
    assert [is_utc(ZoneInfo(key)) for key in ("UTC", "Etc/UTC", "Europe/London", "Asia/Kolkata")] == [
        True,
        True,
        False,
        False,
    ]
    assert to_utc("t", ZoneInfo("UTC")) == "t"
    berlin = ZoneInfo("Europe/Berlin")
    nothing = "(SELECT CAST(NULL AS DATETIME) AS t) AS times"
    select = f"SELECT {to_utc('t', berlin)}, {unclear('t', berlin, skipped=True)} FROM {nothing}"
    async with engine.connect() as connection:
        assert (await connection.exec_driver_sql(select)).one() == (None, 0)
