"""ImportStocks: what becomes of rows."""

from datetime import UTC, datetime

import grpc
import pytest
from holdfast.inventory.v1 import movement_pb2, stock_pb2
from holdfast.inventory.v1 import transfer_pb2 as pb

from tests.inventory_service.client import Inventory, refused
from tests.inventory_service.transfers import books, counts, imported, messages, problems, row


async def stock(inventory: Inventory, sku: str) -> stock_pb2.Stock:
    return (await inventory.stub.GetStock(stock_pb2.GetStockRequest(sku=sku), timeout=10)).stock


async def test_a_row_creates_what_is_missing_and_sets_what_is_there(inventory: Inventory) -> None:
    await inventory.create("A", 5)
    await inventory.create("B", 7)

    done = await imported(inventory, [("A", 9), ("B", 7), ("C", 3), ("D", 0)])

    assert counts(done) == (2, 1, 1, 0)
    assert [await inventory.levels(sku) for sku in "ABCD"] == [(9, 0, 9), (7, 0, 7), (3, 0, 3), (0, 0, 0)]
    assert (await stock(inventory, "C")).status == stock_pb2.STOCK_STATUS_IN_STOCK


async def test_a_change_is_in_the_ledger_with_the_import_as_its_reference(inventory: Inventory) -> None:
    await inventory.create("A", 5)
    await inventory.create("B", 7)

    await imported(inventory, [("A", 2), ("B", 7), ("C", 3)], "count-7")

    listed = await inventory.stub.ListMovements(movement_pb2.ListMovementsRequest(reference="count-7"))
    found = {(entry.sku, entry.delta, entry.reason, entry.actor) for entry in listed.movements}
    reason = movement_pb2.MOVEMENT_REASON_IMPORT
    assert found == {("A", -3, reason, "merchant:7"), ("C", 3, reason, "merchant:7")}


async def test_a_row_writes_the_details_that_it_gives_and_leaves_the_others(inventory: Inventory) -> None:
    details = stock_pb2.StockDetails(notes="old", ean="12345678", gross_purchase_price="10.00")
    await inventory.create("A", 5, details=details)

    done = await imported(
        inventory, [row("A", 5, notes="new"), row("B", 1, location="R1", external_ids={"erp": "7"})]
    )

    assert counts(done) == (1, 1, 0, 0)
    changed = (await stock(inventory, "A")).details
    assert (changed.notes, changed.ean, changed.gross_purchase_price) == ("new", "12345678", "10.00")
    made = (await stock(inventory, "B")).details
    assert (made.location, dict(made.external_ids)) == ("R1", {"erp": "7"})


async def test_fields_of_the_mask_are_cleared_where_a_row_leaves_them_empty(inventory: Inventory) -> None:
    details = stock_pb2.StockDetails(notes="old", ean="12345678", external_ids={"erp": "7"})
    await inventory.create("A", 5, details=details)
    rows = [row("A", 5, ean="87654321", location="not in the mask")]

    done = await imported(inventory, rows, fields=["notes", "ean", "external_ids"])

    assert counts(done) == (0, 1, 0, 0)
    changed = (await stock(inventory, "A")).details
    assert (changed.notes, changed.ean, changed.location, len(changed.external_ids)) == (
        "",
        "87654321",
        "",
        0,
    )


async def test_details_that_are_there_already_change_nothing(inventory: Inventory) -> None:
    rows = [
        row("A", 5, notes="n", gross_purchase_price="1.5", purchase_time=datetime(2024, 5, 1, 10, tzinfo=UTC))
    ]
    await imported(inventory, rows, "first")
    before = await stock(inventory, "A")

    done = await imported(inventory, rows, "second")

    assert counts(done) == (0, 0, 1, 0)
    assert await stock(inventory, "A") == before


async def test_bad_rows_are_named_by_line_and_field_and_good_ones_kept(inventory: Inventory) -> None:
    await inventory.create("A", 5)

    done = await imported(
        inventory,
        [
            row("A", 6, line=2),
            row("b d", -1, line=3),
            row("C", 1, line=5, gross_purchase_price="1,50", ean="x"),
            row("D", 1_000_000_001, line=9),
            row("E", 4, line=10),
        ],
    )

    assert counts(done) == (1, 1, 0, 3)
    assert problems(done) == [
        (3, "b d", "sku"),
        (3, "b d", "quantity"),
        (5, "C", "details.ean"),
        (5, "C", "details.gross_purchase_price"),
        (9, "D", "quantity"),
    ]
    assert done.problem_count == 5
    assert [entry[:2] for entry in await books(inventory)] == [("A", 6), ("E", 4)]


async def test_units_that_are_held_stay_and_their_holders_are_named(inventory: Inventory) -> None:
    await inventory.create("A", 5)
    await inventory.create("B", 5)
    await inventory.reserve("r1", {"A": 3})

    done = await imported(inventory, [row("A", 2, notes="not written"), ("B", 2)])

    assert counts(done) == (0, 1, 0, 1)
    assert problems(done) == [(1, "A", "quantity")]
    assert "3 of the 5 units of A are held by r1 (order:1)" in done.problems[0].description
    assert await inventory.levels("A") == (5, 3, 2)
    assert not (await stock(inventory, "A")).details.notes


async def test_the_oldest_holders_of_each_refused_row_are_named(inventory: Inventory) -> None:
    await inventory.create("A", 30)
    await inventory.create("B", 5)
    for number in range(22):
        await inventory.reserve(f"a{number:02}", {"A": 1})
    await inventory.reserve("b1", {"B": 1})
    await inventory.reserve("b2", {"A": 1, "B": 2})

    done = await imported(inventory, [("A", 1), ("B", 1)])

    assert counts(done) == (0, 0, 0, 2)
    told = [problem.description.partition(" held by ")[2] for problem in done.problems]
    assert told[0].startswith("a00 (order:1), a01 (order:1), ")
    assert (told[0].count("order:1"), "a19 " in told[0], "a20 " in told[0]) == (20, True, False)
    assert told[1] == "b1 (order:1), b2 (order:1)"


async def test_a_refused_row_is_applied_by_a_repeat_once_it_can_be(inventory: Inventory) -> None:
    await inventory.create("A", 5)
    await inventory.reserve("r1", {"A": 3})
    assert counts(await imported(inventory, [("A", 2), ("B", 1)])) == (1, 0, 0, 1)
    await inventory.release("r1")

    done = await imported(inventory, [("A", 2), ("B", 1)])

    assert counts(done) == (0, 1, 1, 0)
    assert await inventory.levels("A") == (2, 0, 2)


async def test_holds_past_their_time_are_in_nobodys_way(inventory: Inventory) -> None:
    await inventory.create("A", 5)
    await inventory.reserve("r1", {"A": 3}, ttl=600)
    await inventory.let_expire("r1")

    assert counts(await imported(inventory, [("A", 0)])) == (0, 1, 0, 0)

    assert await inventory.levels("A") == (0, 0, 0)


async def test_many_problems_are_counted_and_the_first_thousand_named(inventory: Inventory) -> None:
    done = await imported(inventory, [(f"S{number}", -1) for number in range(1200)])

    assert (done.refused_count, done.problem_count, len(done.problems)) == (1200, 1200, 1000)
    assert [problem.line for problem in done.problems] == list(range(1, 1001))


@pytest.mark.parametrize(
    ("requests", "field"),
    [
        ([], "options"),
        ([pb.ImportStocksRequest(row=row("A", 1))], "options"),
        ([pb.ImportStocksRequest(options=pb.ImportOptions())], "options.import_id"),
        (list(messages([], "a b")), "options.import_id"),
        (list(messages([], fields=["sku"])), "options.update_mask.paths[0]"),
        (list(messages([], fields=[])), "options.update_mask.paths"),
        ([*messages([("A", 1)]), *messages([])], "row"),
        ([*messages([("A", 1)]), pb.ImportStocksRequest()], "row"),
    ],
)
async def test_a_stream_that_is_no_import_is_refused(
    inventory: Inventory, requests: list[pb.ImportStocksRequest], field: str
) -> None:
    before = await inventory.everything()

    refusal = await refused(inventory.stub.ImportStocks(iter(requests), timeout=10))

    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert [violation for violation, _ in refusal.violations] == [field]
    assert await inventory.everything() == before


async def test_an_import_without_rows_answers_zeros(inventory: Inventory) -> None:
    assert await imported(inventory, []) == pb.ImportStocksResponse()
