"""Daily facts: what is asked of them, and how they are shown."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta

from google.protobuf.timestamp_pb2 import Timestamp
from holdfast.inventory.v1 import reports_pb2 as pb

from inventory_service.application.fact_ports import FactFilter
from inventory_service.domain.daily_fact import DailyFact
from inventory_service.rpc.messages.words import PLATFORMS, STATUSES, number
from servicekit.errors import PageTokenMismatch
from servicekit.rpc.paging import Page, after_time_and_text, requested_page
from servicekit.rpc.times import timestamp
from servicekit.rpc.validation import Violations

_BY_STOCK: Mapping[int, bool] = {
    pb.DAILY_FACT_GROUPING_UNSPECIFIED: False,
    pb.DAILY_FACT_GROUPING_STATUS_AND_PLATFORM: False,
    pb.DAILY_FACT_GROUPING_SKU: True,
}


def list_daily_facts(request: pb.ListDailyFactsRequest) -> tuple[FactFilter, bool, Page]:
    """Which days, whether by stock (else by status and platform), and the page.

    Raises FieldInvalid, PageTokenMismatch.
    """
    with Violations() as v:
        page = requested_page(v, request)
        if request.grouping not in _BY_STOCK:
            v.add("grouping", "must be STATUS_AND_PLATFORM or SKU")
        by_stock = _BY_STOCK.get(request.grouping, True)
        wanted = FactFilter(
            start_day=_day_of(v, request.start_time) if request.HasField("start_time") else None,
            end_day=_day_after(v, request.end_time) if request.HasField("end_time") else None,
            sku=v.optional_name("sku", request.sku),
        )
        if request.sku and not by_stock:
            v.add("sku", "needs grouping by SKU")
        if wanted.start_day and wanted.end_day and wanted.start_day >= wanted.end_day:
            v.add("end_time", "must be after the beginning of the day of start_time")
        return wanted, by_stock, page


def after_stock(page: Page) -> tuple[date, str] | None:
    """The (day, sku) that the previous page ended with. Raises PageTokenMismatch."""
    after = after_time_and_text(page)
    return after and (after[0].date(), after[1])


def after_status(page: Page) -> tuple[date, str, str] | None:
    """The (day, status, platform) that the previous page ended with. Raises PageTokenMismatch."""
    after = after_time_and_text(page)
    if after is None:
        return None
    status, separator, platform = after[1].partition("/")
    if not separator:
        raise PageTokenMismatch
    return after[0].date(), status, platform


def fact_key(fact: DailyFact) -> tuple[str, ...]:
    """What the page after this fact begins behind."""
    group = f"{fact.status or ''}/{fact.platform or ''}" if fact.sku is None else fact.sku
    return (_midnight(fact.day).isoformat(), group)


def fact_message(fact: DailyFact) -> pb.DailyFact:
    """The fact as callers see it."""
    return pb.DailyFact(
        day_time=timestamp(_midnight(fact.day)),
        status=number(STATUSES, fact.status),
        platform=number(PLATFORMS, fact.platform),
        sku=fact.sku or "",
        received_quantity=fact.received_quantity,
        sold_quantity=fact.sold_quantity,
        returned_quantity=fact.returned_quantity,
        adjusted_quantity=fact.adjusted_quantity,
    )


def _day_of(v: Violations, message: Timestamp) -> date:
    return v.instant("start_time", message).date()


def _day_after(v: Violations, message: Timestamp) -> date:
    """The first day that does not begin before the instant."""
    end = v.instant("end_time", message)
    day = end.date()
    return day if end == _midnight(day) or day == date.max else day + timedelta(days=1)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
