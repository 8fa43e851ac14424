"""ListDailyFacts: what happened day by day, by stock and by status and platform."""

from datetime import UTC, datetime

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from holdfast.inventory.v1 import reports_pb2 as pb
from holdfast.inventory.v1 import stock_pb2

from inventory_service.domain.movement import MovementReason
from tests.inventory_service.client import SHOP, Inventory, refused
from tests.inventory_service.history import BY_SKU, count_all, facts, instant, moved

pytestmark = pytest.mark.usefixtures("past_months")

SECOND_OF_MARCH = {"start_time": instant("2026-03-02T00:00:00"), "end_time": instant("2026-03-03T00:00:00")}
RANGES = [
    ("02T00:00:00", None, [5, 3, 2]),
    ("02T23:00:00", None, [5, 3, 2]),
    (None, "03T00:00:00", [2, 1]),
    (None, "03T00:00:01", [3, 2, 1]),
    ("02T05:00:00", "04T00:00:00", [3, 2]),
    ("04T00:00:00", "05T00:00:00", []),
    ("03T09:00:00", "03T10:00:00", [3]),
]


async def test_what_calls_do_is_found_by_sku_and_by_status_and_platform(
    inventory: Inventory, inventory_url: str
) -> None:
    await inventory.create("A", 10)
    await inventory.create("B", 5, status=stock_pb2.STOCK_STATUS_PRESALE)
    await inventory.adjust("A", 4, "q1")
    await inventory.reserve("r1", {"A": 3, "B": 2})
    await inventory.commit("r1")
    await count_all(inventory_url)
    today = datetime.now(UTC).date().isoformat()

    assert await facts(inventory, grouping=BY_SKU) == [(today, "B", 0, 2, 0, 5), (today, "A", 4, 3, 0, 10)]
    assert await facts(inventory) == [
        (today, "PRESALE UNSPECIFIED", 0, 2, 0, 5),
        (today, "IN_STOCK UNSPECIFIED", 4, 3, 0, 10),
    ]


async def test_each_reason_counts_in_its_column(inventory: Inventory, inventory_url: str) -> None:
    for reason in MovementReason:
        await inventory.create(reason.value)
        await moved(inventory, reason.value, 9, "OTHER", "2026-03-01T12:00:00+00:00")
        await moved(inventory, reason.value, -2, reason.value, "2026-03-02T12:00:00+00:00")
    await count_all(inventory_url)

    found = {row[1]: row[2:] for row in await facts(inventory, grouping=BY_SKU, **SECOND_OF_MARCH)}

    own = {"RECEIVED": (-2, 0, 0, 0), "SOLD": (0, 2, 0, 0), "RETURNED": (0, 0, -2, 0)}
    assert found == {reason.value: own.get(reason.value, (0, 0, 0, -2)) for reason in MovementReason}
    assert await facts(inventory, **SECOND_OF_MARCH) == [
        ("2026-03-02", "IN_STOCK UNSPECIFIED", -2, 2, -2, -16)
    ]


async def test_days_are_those_of_utc_and_the_newest_comes_first(
    inventory: Inventory, inventory_url: str
) -> None:
    await inventory.create("A")
    for time, units in (
        ("2026-03-01T00:00:00+00:00", 1),
        ("2026-03-01T23:59:59.999999+00:00", 2),
        ("2026-03-02T01:00:00+02:00", 4),
        ("2026-03-02T00:00:00+00:00", 8),
        ("2026-02-28T20:00:00-05:00", 16),
    ):
        await moved(inventory, "A", units, "RECEIVED", time)
    await count_all(inventory_url)

    assert await facts(inventory, grouping=BY_SKU) == [
        ("2026-03-02", "A", 8, 0, 0, 0),
        ("2026-03-01", "A", 23, 0, 0, 0),
    ]


@pytest.mark.parametrize("grouping", [pb.DAILY_FACT_GROUPING_SKU, pb.DAILY_FACT_GROUPING_STATUS_AND_PLATFORM])
async def test_a_range_holds_the_day_of_its_start_and_no_day_from_its_end_on(
    inventory: Inventory, inventory_url: str, grouping: pb.DailyFactGrouping.ValueType
) -> None:
    await inventory.create("A")
    for day in (1, 2, 3, 5):
        await moved(inventory, "A", 1, "FOUND", f"2026-03-0{day}T12:00:00+00:00")
    await count_all(inventory_url)

    for start, end, days in RANGES:
        range_ = {"start_time": start, "end_time": end}
        given = {name: instant(f"2026-03-{text}") for name, text in range_.items() if text}
        found = await facts(inventory, grouping=grouping, **given)
        assert [int(row[0][-1]) for row in found] == days, (start, end)


async def test_units_count_once_on_the_platform_that_has_been_open_longest(
    inventory: Inventory, inventory_url: str
) -> None:
    async def offer(platform: stock_pb2.Platform.ValueType) -> None:
        listing = stock_pb2.Listing(platform=platform, listing_id="L1")
        request = stock_pb2.AddListingRequest(sku="A", listing=listing)
        await inventory.stub.AddListing(request, metadata=SHOP)

    await inventory.create("A", 1)
    await offer(stock_pb2.PLATFORM_GOAT)
    await offer(stock_pb2.PLATFORM_EBAY)
    await inventory.adjust("A", 2, "q1")
    ended = stock_pb2.EndListingRequest(sku="A", platform=stock_pb2.PLATFORM_GOAT, listing_id="L1")
    await inventory.stub.EndListing(ended, metadata=SHOP)
    await inventory.adjust("A", 4, "q2")
    await count_all(inventory_url)

    assert {group: received for _, group, received, *_ in await facts(inventory)} == {
        "IN_STOCK UNSPECIFIED": 0,
        "IN_STOCK GOAT": 2,
        "IN_STOCK EBAY": 4,
    }


async def test_status_and_name_are_those_of_the_movement_however_late_it_is_counted(
    inventory: Inventory, inventory_url: str
) -> None:
    await inventory.create("A", 3)
    change = stock_pb2.ChangeStockStatusRequest(sku="A", status=stock_pb2.STOCK_STATUS_PRESALE)
    await inventory.stub.ChangeStockStatus(change, metadata=SHOP)
    await inventory.adjust("A", -3, "q1")
    await inventory.stub.DeleteStock(stock_pb2.DeleteStockRequest(sku="A"), metadata=SHOP)
    await count_all(inventory_url)

    assert [row[1:] for row in await facts(inventory)] == [
        ("PRESALE UNSPECIFIED", -3, 0, 0, 0),
        ("IN_STOCK UNSPECIFIED", 0, 0, 0, 3),
    ]
    assert [row[1:] for row in await facts(inventory, grouping=BY_SKU)] == [("A", -3, 0, 0, 3)]


@pytest.mark.parametrize("grouping", [pb.DAILY_FACT_GROUPING_SKU, pb.DAILY_FACT_GROUPING_STATUS_AND_PLATFORM])
async def test_pages_show_each_fact_once_while_facts_come(
    inventory: Inventory, inventory_url: str, grouping: pb.DailyFactGrouping.ValueType
) -> None:
    for name in ("IN_STOCK", "PRESALE", "PREORDER"):
        await inventory.create(name, status=stock_pb2.StockStatus.Value(f"STOCK_STATUS_{name}"))
        for day in (1, 2, 3):
            await moved(inventory, name, day, "FOUND", f"2026-03-0{day}T12:00:00+00:00")
    await count_all(inventory_url)
    request = pb.ListDailyFactsRequest(grouping=grouping, page_size=2)
    seen: list[tuple[str, int]] = []

    while not seen or request.page_token:
        answer = await inventory.stub.ListDailyFacts(request)
        assert len(answer.facts) <= 2
        seen += [(fact.sku or str(fact.status), fact.adjusted_quantity) for fact in answer.facts]
        request.page_token = answer.next_page_token
        await moved(inventory, "PRESALE", 99, "FOUND", f"2026-04-{len(seen) + 1:02}T12:00:00+00:00")
        await count_all(inventory_url)

    assert [units for _, units in seen] == [3, 3, 3, 2, 2, 2, 1, 1, 1]
    assert len(set(seen)) == 9


async def test_only_one_stocks_facts_are_listed_where_asked(inventory: Inventory, inventory_url: str) -> None:
    for sku in ("A", "AB", "B"):
        await inventory.create(sku, 2)
        await moved(inventory, sku, 1, "FOUND", "2026-03-01T12:00:00+00:00")
    await count_all(inventory_url)

    found = await facts(inventory, grouping=BY_SKU, sku="A")

    assert [row[1:] for row in found] == [("A", 0, 0, 0, 2), ("A", 0, 0, 0, 1)]
    assert await facts(inventory, grouping=BY_SKU, sku="C") == []


async def test_every_bad_field_is_named_at_once(inventory: Inventory) -> None:
    request = pb.ListDailyFactsRequest(
        start_time=instant("2026-03-02T12:00:00"),
        end_time=instant("2026-03-02T00:00:00"),
        sku="a b",
        page_size=-1,
    )
    refusal = await refused(inventory.stub.ListDailyFacts(request))

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")
    assert sorted(field for field, _ in refusal.violations) == ["end_time", "page_size", "sku", "sku"]
    unknown = pb.ListDailyFactsRequest(grouping=9, end_time=Timestamp(seconds=10**15))  # type: ignore[arg-type]
    refusal = await refused(inventory.stub.ListDailyFacts(unknown))
    assert sorted(field for field, _ in refusal.violations) == ["end_time", "grouping"]


async def test_a_page_token_of_the_other_grouping_is_refused(
    inventory: Inventory, inventory_url: str
) -> None:
    for sku in ("A", "B"):
        await inventory.create(sku, 1)
    await count_all(inventory_url)
    page = await inventory.stub.ListDailyFacts(pb.ListDailyFactsRequest(grouping=BY_SKU, page_size=1))

    refusal = await refused(
        inventory.stub.ListDailyFacts(pb.ListDailyFactsRequest(page_token=page.next_page_token))
    )

    assert refusal.reason == "PAGE_TOKEN_MISMATCH"


async def test_the_answer_says_how_far_the_facts_are(inventory: Inventory, inventory_url: str) -> None:
    before = await inventory.stub.ListDailyFacts(pb.ListDailyFactsRequest())
    stock = await inventory.create("A", 1)
    behind = await inventory.stub.ListDailyFacts(pb.ListDailyFactsRequest())
    await inventory.adjust("A", 1, "q1")
    await count_all(inventory_url)
    after = await inventory.stub.ListDailyFacts(pb.ListDailyFactsRequest())

    assert (len(behind.facts), len(after.facts)) == (0, 1)
    assert behind.facts_through_time == stock.create_time
    times = [answer.facts_through_time.ToNanoseconds() for answer in (before, behind, after)]
    assert times == sorted(set(times))
