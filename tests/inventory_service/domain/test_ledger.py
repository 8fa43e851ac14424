"""Months of the ledger."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from inventory_service.domain.ledger import LedgerMonth, archivable_before, missing_months

JANUARY = LedgerMonth(2026, 1)


@pytest.mark.parametrize("written", ["2026-01", "1999-12"])
def test_a_month_reads_as_it_is_written(written: str) -> None:
    assert str(LedgerMonth.parse(written)) == written


@pytest.mark.parametrize("written", ["2026-13", "2026-00", "2026-1", "0999-01", "2026-01-01", "", "٢٠٢٦-01"])
def test_what_is_no_month_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="2026-01"):
        LedgerMonth.parse(written)


def test_a_month_begins_and_ends_in_utc() -> None:
    assert JANUARY.start == datetime(2026, 1, 1, tzinfo=UTC)
    assert JANUARY.end == datetime(2026, 2, 1, tzinfo=UTC)
    assert LedgerMonth(2025, 12).end == JANUARY.start


@pytest.mark.parametrize(
    ("instant", "month"),
    [
        (JANUARY.start, JANUARY),
        (JANUARY.start - timedelta(microseconds=1), LedgerMonth(2025, 12)),
        (JANUARY.end - timedelta(microseconds=1), JANUARY),
        (datetime(2026, 2, 1, 0, 30, tzinfo=timezone(timedelta(hours=1))), JANUARY),
        (datetime(2025, 12, 31, 23, 30, tzinfo=timezone(timedelta(hours=-1))), JANUARY),
    ],
)
def test_an_instant_lies_in_its_month_of_utc(instant: datetime, month: LedgerMonth) -> None:
    assert LedgerMonth.of(instant) == month


def test_months_are_counted_across_years() -> None:
    assert [str(JANUARY.plus(months)) for months in (-13, -1, 0, 11, 12)] == [
        "2024-12",
        "2025-12",
        "2026-01",
        "2026-12",
        "2027-01",
    ]
    assert LedgerMonth(2025, 12) < JANUARY < LedgerMonth(2026, 2)


@pytest.mark.parametrize(("keep", "first_kept"), [(0, "2026-05"), (3, "2026-02"), (5, "2025-12")])
def test_the_current_month_and_the_last_whole_ones_stay(keep: int, first_kept: str) -> None:
    assert str(archivable_before(datetime(2026, 5, 31, 23, 59, tzinfo=UTC), keep)) == first_kept


def test_months_without_partition_are_missing_this_one_included() -> None:
    now = datetime(2025, 12, 1, tzinfo=UTC)

    assert missing_months(now, 2, [JANUARY]) == [LedgerMonth(2025, 12), LedgerMonth(2026, 2)]
    assert missing_months(now, 1, [LedgerMonth(2025, 12), JANUARY]) == []
