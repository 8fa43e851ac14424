"""GetStockMetrics, ListStockMetrics and GetInventorySummary: figures from the view, or live, and of when they are."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from holdfast.inventory.v1 import reports_pb2 as pb
from holdfast.inventory.v1 import stock_pb2
from sqlalchemy import text

from tests.inventory_service.client import SHOP, Inventory, duration, refused

LIVE = duration(0)


async def refresh(inventory: Inventory) -> datetime:
    """RefreshStockMetrics."""
    answer = await inventory.stub.RefreshStockMetrics(pb.RefreshStockMetricsRequest(), timeout=10)
    return answer.refresh_time.ToDatetime(tzinfo=UTC)


async def metrics(inventory: Inventory, sku: str, **fields: Any) -> pb.GetStockMetricsResponse:
    """GetStockMetrics."""
    return await inventory.stub.GetStockMetrics(pb.GetStockMetricsRequest(sku=sku, **fields), timeout=10)


async def page(inventory: Inventory, **fields: Any) -> pb.ListStockMetricsResponse:
    """ListStockMetrics."""
    return await inventory.stub.ListStockMetrics(pb.ListStockMetricsRequest(**fields), timeout=10)


async def summary(inventory: Inventory, **fields: Any) -> pb.GetInventorySummaryResponse:
    """GetInventorySummary."""
    return await inventory.stub.GetInventorySummary(pb.GetInventorySummaryRequest(**fields), timeout=10)


async def database_time(inventory: Inventory) -> datetime:
    """The database's clock."""
    async with inventory.engine.connect() as connection:
        now: datetime = (await connection.execute(text("SELECT clock_timestamp()"))).scalar_one()
    return now


async def execute(inventory: Inventory, statement: str, **values: object) -> None:
    """Runs one statement and commits it."""
    async with inventory.engine.begin() as connection:
        await connection.execute(text(statement), values)


async def some_stocks(inventory: Inventory) -> None:
    """Stocks in three statuses, with and without price, one held in part; the last one's profit is not whole cents."""
    priced = stock_pb2.StockDetails(gross_purchase_price="10.55")
    await inventory.create("A", 5, details=priced)
    await inventory.create("B", 3)
    await inventory.create("C", 7, status=stock_pb2.STOCK_STATUS_PRESALE)
    await inventory.create("D", 3, details=priced)
    await inventory.create("E", 1, details=priced)
    given = "UPDATE inventory.stock SET roi_percentage = :roi WHERE sku = :sku"
    for sku, roi in (("A", 20), ("B", 20), ("D", Decimal("33.33")), ("E", -5)):
        await execute(inventory, given, sku=sku, roi=roi)
    await inventory.reserve("r1", {"A": 2, "C": 1})


async def test_figures_are_those_of_the_refresh_and_say_so(inventory: Inventory) -> None:
    await some_stocks(inventory)
    before = await database_time(inventory)
    refreshed = await refresh(inventory)
    after = await database_time(inventory)
    await inventory.adjust("A", 10, "q1")

    found = await metrics(inventory, "A")

    assert before < refreshed < after
    assert found.refresh_time.ToDatetime(tzinfo=UTC) == refreshed
    assert found.metrics.calculate_time == found.refresh_time
    figures = found.metrics
    assert (figures.quantity, figures.reserved_quantity, figures.available_quantity) == (5, 2, 3)
    assert (figures.total_cost, figures.expected_profit) == ("10.55", "2.11")


async def test_an_unknown_price_is_empty_and_a_loss_is_no_profit(inventory: Inventory) -> None:
    await some_stocks(inventory)
    await refresh(inventory)

    figures = {row.sku: (row.total_cost, row.expected_profit) for row in (await page(inventory)).metrics}

    assert figures == {
        "A": ("10.55", "2.11"),
        "B": ("", ""),
        "C": ("", ""),
        "D": ("10.55", "3.52"),
        "E": ("10.55", ""),
    }


async def test_a_view_that_is_too_old_is_passed_over_for_live_figures(inventory: Inventory) -> None:
    await some_stocks(inventory)
    await refresh(inventory)
    await inventory.adjust("A", 10, "q1")
    await execute(
        inventory,
        "UPDATE inventory.stock_metrics_refresh SET refresh_time = refresh_time - interval '1 hour'",
    )
    before = await database_time(inventory)

    tolerant = await metrics(inventory, "A", max_staleness=duration(3700))
    strict = await metrics(inventory, "A", max_staleness=duration(3500))

    assert (tolerant.metrics.quantity, strict.metrics.quantity) == (5, 15)
    assert before - tolerant.refresh_time.ToDatetime(tzinfo=UTC) > timedelta(hours=1)
    assert strict.refresh_time.ToDatetime(tzinfo=UTC) > before
    assert (await page(inventory, max_staleness=duration(3500))).metrics[0].quantity == 15
    assert (await page(inventory, max_staleness=duration(3700))).metrics[0].quantity == 5
    units = [
        (await summary(inventory, max_staleness=duration(age))).statuses[0].quantity for age in (3500, 3700)
    ]
    assert units == [22, 12]


async def test_live_figures_and_the_views_are_the_same(inventory: Inventory) -> None:
    await some_stocks(inventory)
    await refresh(inventory)

    def but_time(row: pb.StockMetrics) -> pb.StockMetrics:
        row.ClearField("calculate_time")
        return row

    viewed, live = await page(inventory), await page(inventory, max_staleness=LIVE)
    assert live.refresh_time.ToNanoseconds() > viewed.refresh_time.ToNanoseconds()
    assert [but_time(row) for row in live.metrics] == [but_time(row) for row in viewed.metrics]
    assert (await summary(inventory)).statuses == (await summary(inventory, max_staleness=LIVE)).statuses


async def test_a_view_that_was_never_filled_is_infinitely_old(inventory: Inventory) -> None:
    await some_stocks(inventory)
    await execute(inventory, "REFRESH MATERIALIZED VIEW inventory.stock_metrics_view WITH NO DATA")
    before = await database_time(inventory)

    found = await metrics(inventory, "A")

    assert found.metrics.quantity == 5
    assert found.refresh_time.ToDatetime(tzinfo=UTC) > before
    assert len((await page(inventory, max_staleness=duration(366 * 86_400))).metrics) == 5
    assert len((await summary(inventory)).statuses) == 2

    assert await refresh(inventory) > before
    await inventory.adjust("A", 1, "q1")
    assert (await metrics(inventory, "A")).metrics.quantity == 5


async def test_a_stock_that_the_view_does_not_have_yet_is_answered_live(inventory: Inventory) -> None:
    refreshed = await refresh(inventory)
    await inventory.create("NEW", 4)

    found = await metrics(inventory, "NEW")

    assert found.metrics.quantity == 4
    assert found.refresh_time.ToDatetime(tzinfo=UTC) > refreshed
    assert (await page(inventory)).metrics == []
    refusal = await refused(metrics(inventory, "NO"))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "STOCK_NOT_FOUND")


async def test_a_refresh_of_no_stocks_has_a_time_too(inventory: Inventory) -> None:
    refreshed = await refresh(inventory)

    found = await summary(inventory)

    assert (list(found.statuses), found.refresh_time.ToDatetime(tzinfo=UTC)) == ([], refreshed)


async def test_pages_follow_the_sku_and_go_on_across_a_refresh(inventory: Inventory) -> None:
    await some_stocks(inventory)
    await refresh(inventory)
    first = await page(inventory, page_size=2)
    await inventory.adjust("C", 1, "q1")
    later = await refresh(inventory)

    second = await page(inventory, page_size=2, page_token=first.next_page_token)
    third = await page(inventory, page_size=2, page_token=second.next_page_token)

    assert [[row.sku for row in each.metrics] for each in (first, second, third)] == [
        ["A", "B"],
        ["C", "D"],
        ["E"],
    ]
    assert (second.metrics[0].quantity, second.refresh_time.ToDatetime(tzinfo=UTC)) == (8, later)
    assert first.refresh_time.ToNanoseconds() < second.refresh_time.ToNanoseconds()
    assert third.next_page_token == ""
    refusal = await refused(page(inventory, page_token=first.next_page_token, max_staleness=LIVE))
    assert refusal.reason == "PAGE_TOKEN_MISMATCH"


@pytest.mark.parametrize("fields", [{}, {"max_staleness": LIVE}], ids=["view", "live"])
async def test_the_summary_adds_up_units_and_money_by_status(
    inventory: Inventory, fields: dict[str, Any]
) -> None:
    await some_stocks(inventory)
    await inventory.create("F", 0)
    await inventory.stub.ChangeStockStatus(
        stock_pb2.ChangeStockStatusRequest(sku="F", status=stock_pb2.STOCK_STATUS_SOLD), metadata=SHOP
    )
    await refresh(inventory)

    found = (await summary(inventory, **fields)).statuses

    # 5 × 10.55 × 0.2 + 3 × 10.55 × 0.3333 = 21.098945: rounded once, not per stock.
    assert [
        (
            row.status,
            row.stock_count,
            row.quantity,
            row.reserved_quantity,
            row.total_cost,
            row.expected_profit,
        )
        for row in found
    ] == [
        (stock_pb2.STOCK_STATUS_IN_STOCK, 4, 12, 2, "94.95", "21.10"),
        (stock_pb2.STOCK_STATUS_PRESALE, 1, 7, 1, "0.00", "0.00"),
        (stock_pb2.STOCK_STATUS_SOLD, 1, 0, 0, "0.00", "0.00"),
    ]


@pytest.mark.parametrize(
    "staleness", [duration(-1), duration(366 * 86_400 + 1), Duration(seconds=2**62)], ids=str
)
async def test_every_violation_of_a_report_is_named_at_once(
    inventory: Inventory, staleness: Duration
) -> None:
    one = await refused(metrics(inventory, "a b", max_staleness=staleness))
    many = await refused(page(inventory, page_size=-1, max_staleness=staleness))
    sums = await refused(summary(inventory, max_staleness=staleness))

    assert [field for field, _ in one.violations] == ["sku", "max_staleness"]
    assert [field for field, _ in many.violations] == ["page_size", "max_staleness"]
    assert sums.violations == [("max_staleness", "must be from 0s to 31622400s (366 days)")]


Command = Callable[[Inventory], Any]


@pytest.mark.parametrize(
    "command",
    [
        lambda inventory: inventory.create("NEW", 1),
        lambda inventory: inventory.reserve("r2", {"A": 1}),
        lambda inventory: inventory.adjust("A", 1, "q1"),
        lambda inventory: inventory.commit("r1"),
    ],
    ids=["create", "reserve", "adjust", "commit"],
)
async def test_commands_work_while_nobody_may_touch_the_view(inventory: Inventory, command: Command) -> None:
    await some_stocks(inventory)

    async with inventory.engine.begin() as connection:
        # Renaming is what takes the exclusive lock on a view.
        await connection.execute(
            text("ALTER MATERIALIZED VIEW inventory.stock_metrics_view RENAME TO elsewhere")
        )
        await command(inventory)
        await connection.rollback()
