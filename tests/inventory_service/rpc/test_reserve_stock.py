"""ReserveStock."""

import grpc
import pytest
from holdfast.inventory.v1 import reservation_pb2 as pb
from holdfast.inventory.v1 import stock_pb2
from sqlalchemy import text

from tests.inventory_service.client import SHOP, STRANGER, Inventory, duration, refused


async def test_units_are_set_aside_and_doubles_are_summed(inventory: Inventory) -> None:
    await inventory.create("A", 5)
    await inventory.create("B", 5)

    made = await inventory.reserve("r1", [("B", 1), ("A", 2), ("B", 3)], ttl=90)

    assert made.state == pb.RESERVATION_STATE_HELD
    assert [(line.sku, line.quantity, line.committed_quantity) for line in made.lines] == [
        ("A", 2, 0),
        ("B", 4, 0),
    ]
    assert (made.holder, made.created_by, made.tombstone) == ("order:1", "merchant:7", False)
    assert made.expire_time.ToMicroseconds() - made.create_time.ToMicroseconds() == 90_000_000
    assert not made.HasField("resolve_time")
    assert await inventory.levels("A") == (5, 2, 3)
    assert await inventory.levels("B") == (5, 4, 1)
    assert await inventory.reservation("r1") == made


async def test_without_a_ttl_a_hold_has_no_end(inventory: Inventory) -> None:
    await inventory.create("A", 5)

    assert not (await inventory.reserve("r1", {"A": 1})).HasField("expire_time")


async def test_doubles_that_fit_one_by_one_but_not_summed_are_short(inventory: Inventory) -> None:
    await inventory.create("A", 5)

    refusal = await refused(inventory.reserve("r1", [("A", 3), ("A", 3)]))

    assert refusal.violations == [("A", "requested 6, available 5")]


async def test_every_short_line_is_named_and_nothing_is_held(inventory: Inventory) -> None:
    await inventory.create("A", 5)
    await inventory.create("B", 1)
    await inventory.create("C", 9)
    await inventory.reserve("r0", {"C": 8})
    before = await inventory.everything()

    refusal = await refused(inventory.reserve("r1", {"A": 5, "B": 2, "C": 2}, request_id="q1"))

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "INSUFFICIENT_STOCK")
    assert refusal.violations == [("B", "requested 2, available 1"), ("C", "requested 2, available 1")]
    assert refusal.metadata == {"shortages": "B: requested 2, available 1, C: requested 2, available 1"}
    assert refusal.shortages == [("B", 2, 1), ("C", 2, 1)]
    assert not refusal.retry
    assert await inventory.everything() == before


async def test_every_unknown_sku_is_named(inventory: Inventory) -> None:
    await inventory.create("A", 5)
    before = await inventory.everything()

    refusal = await refused(inventory.reserve("r1", {"Z": 1, "A": 1, "Y": 1}))

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "STOCK_NOT_FOUND")
    assert refusal.metadata == {"skus": "Y, Z"}
    assert refusal.resource == ("stock", "Y, Z")
    assert await inventory.everything() == before


@pytest.mark.parametrize("status", ["sold", "canceled", "error"])
async def test_a_stock_out_of_sale_cannot_be_reserved(inventory: Inventory, status: str) -> None:
    await inventory.create("A", 5)
    async with inventory.engine.begin() as connection:
        await connection.execute(text("UPDATE inventory.stock SET status = :status"), {"status": status})
    before = await inventory.everything()

    refusal = await refused(inventory.reserve("r1", {"A": 1}))

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "STOCK_NOT_SELLABLE")
    assert refusal.violations == [("A", f"status {status.upper()}")]
    assert await inventory.everything() == before


async def test_presale_and_preorder_can_be_reserved(inventory: Inventory) -> None:
    await inventory.create("A", 5, status=stock_pb2.STOCK_STATUS_PRESALE)
    await inventory.create("B", 5, status=stock_pb2.STOCK_STATUS_PREORDER)

    assert (await inventory.reserve("r1", {"A": 1, "B": 1})).state == pb.RESERVATION_STATE_HELD


async def test_the_same_call_again_holds_once_and_answers_the_same(inventory: Inventory) -> None:
    await inventory.create("A", 5)
    made = await inventory.reserve("r1", [("A", 2), ("A", 1)], ttl=60)
    before = await inventory.everything()

    again = await inventory.reserve("r1", {"A": 3}, ttl=60)

    assert again == made
    assert await inventory.everything() == before


@pytest.mark.parametrize(
    "other",
    [{"holder": "order:2"}, {"quantities": {"A": 1}}, {"quantities": {"A": 2, "B": 1}}, {"ttl": 61}],
)
async def test_the_same_id_with_other_content_is_refused(
    inventory: Inventory, other: dict[str, object]
) -> None:
    await inventory.create("A", 5)
    await inventory.create("B", 5)
    same: dict[str, object] = {"quantities": {"A": 2}, "ttl": 60}
    await inventory.reserve("r1", **same)  # type: ignore[arg-type]
    before = await inventory.everything()

    refusal = await refused(inventory.reserve("r1", **same | other))  # type: ignore[arg-type]

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.ALREADY_EXISTS, "RESERVATION_EXISTS")
    assert refusal.metadata == {"reservation_id": "r1"}
    assert refusal.resource == ("reservation", "r1")
    assert await inventory.everything() == before


async def test_a_reserve_that_comes_after_its_release_holds_nothing(inventory: Inventory) -> None:
    await inventory.create("A", 5)
    await inventory.release("r1")
    before = await inventory.everything()

    refusal = await refused(inventory.reserve("r1", {"A": 1}))

    assert (refusal.code, refusal.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "RESERVATION_TOMBSTONED",
    )
    assert await inventory.everything() == before


async def test_a_hold_past_its_time_never_blocks_a_sale(inventory: Inventory) -> None:
    await inventory.create("A", 5)
    await inventory.create("B", 5)
    await inventory.reserve("old", {"A": 4, "B": 5}, ttl=60, metadata=STRANGER)
    await inventory.let_expire("old")

    made = await inventory.reserve("r1", {"A": 5})

    assert made.state == pb.RESERVATION_STATE_HELD
    assert await inventory.levels("A") == (5, 5, 0)
    assert await inventory.levels("B") == (5, 0, 5)
    old = await inventory.reservation("old")
    assert old.state == pb.RESERVATION_STATE_EXPIRED
    assert old.resolve_time == old.expire_time


async def test_every_violation_is_named_at_once(inventory: Inventory) -> None:
    request = pb.ReserveStockRequest(
        reservation_id="a b",
        holder="x" * 65,
        lines=[
            pb.ReservationLine(sku="A", quantity=1),
            pb.ReservationLine(sku="", quantity=0),
            pb.ReservationLine(sku="C", quantity=1_000_000_001, committed_quantity=1),
        ],
        ttl=duration(0.5),
        request_id="x" * 65,
    )

    refusal = await refused(inventory.stub.ReserveStock(request, metadata=SHOP))

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")
    assert [field for field, _ in refusal.violations] == [
        "request_id",
        "reservation_id",
        "holder",
        "lines[1].sku",
        "lines[1].quantity",
        "lines[2].quantity",
        "lines[2].committed_quantity",
        "ttl",
    ]


async def test_lines_have_a_number(inventory: Inventory) -> None:
    none = await refused(inventory.reserve("r1", {}))
    many = await refused(inventory.reserve("r1", [("A", 1)] * 201))

    assert [field for field, _ in none.violations] == ["lines"]
    assert many.violations == [("lines", "must have at most 200 entries, has 201")]


async def test_lines_beyond_the_most_are_counted_and_not_looked_at(inventory: Inventory) -> None:
    refusal = await refused(inventory.reserve("r1", [("A", 1)] * 199 + [("", 0)] * 99_801))

    assert refusal.violations == [
        ("lines", "must have at most 200 entries, has 100000"),
        ("lines[199].sku", "must be 1 to 64 characters of A-Z a-z 0-9 . _ : / -"),
        ("lines[199].quantity", "must be from 1 to 1000000000"),
    ]


async def test_two_hundred_lines_are_held(inventory: Inventory) -> None:
    for index in range(200):
        await inventory.create(f"S{index:03}", 1)

    made = await inventory.reserve("r1", {f"S{index:03}": 1 for index in range(200)})

    assert len(made.lines) == 200
    assert await inventory.levels("S199") == (1, 1, 0)
    refusal = await refused(inventory.reserve("r2", {f"S{index:03}": 1 for index in range(200)}))
    assert refusal.reason == "INSUFFICIENT_STOCK"
    assert refusal.shortages == [(f"S{index:03}", 1, 0) for index in range(200)]


@pytest.mark.parametrize("seconds", [0, 0.999, 7 * 24 * 3600 + 0.001, -1])
async def test_a_ttl_is_from_a_second_to_seven_days(inventory: Inventory, seconds: float) -> None:
    await inventory.create("A", 5)

    refusal = await refused(inventory.reserve("r1", {"A": 1}, ttl=seconds))

    assert refusal.violations == [("ttl", "must be from 1s to 604800s (7 days)")]
