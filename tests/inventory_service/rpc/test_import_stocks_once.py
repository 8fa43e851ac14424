"""ImportStocks: each row once, whatever is sent twice, cut off, judged first or sent by two at once."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterable

import grpc
import pytest
from holdfast.inventory.v1 import transfer_pb2 as pb
from sqlalchemy import text

from inventory_service.persistence.tables import metadata
from inventory_service.rpc import import_stream
from tests.inventory_service.client import SHOP, STRANGER, Inventory, refused
from tests.inventory_service.transfers import Row, books, counts, imported, messages, problems, row

# What a busy machine may answer; nothing was done then.
BUSY = (grpc.StatusCode.ABORTED, grpc.StatusCode.DEADLINE_EXCEEDED)
ROWS = [row(f"S{number:04}", number % 90, notes=f"note {number}") for number in range(1300)]


async def slowly(
    requests: Iterable[pb.ImportStocksRequest], most: int
) -> AsyncIterator[pb.ImportStocksRequest]:
    """So many messages, and then nothing for a long time."""
    for number, request in enumerate(requests):
        if number == most:
            await asyncio.sleep(60)
        yield request


async def emptied(inventory: Inventory) -> None:
    tables = ", ".join(str(table) for table in metadata.sorted_tables)
    async with inventory.engine.begin() as connection:
        await connection.execute(text(f"TRUNCATE {tables}"))


async def applied(inventory: Inventory, import_id: str = "i1") -> int:
    query = text("SELECT count(*) FROM inventory.imported_row WHERE import_id = :import_id")
    async with inventory.engine.connect() as connection:
        return int((await connection.execute(query, {"import_id": import_id})).scalar_one())


async def test_the_same_import_again_changes_nothing_even_where_stock_has_moved_since(
    inventory: Inventory,
) -> None:
    assert counts(await imported(inventory, [("A", 9), ("B", 4)])) == (2, 0, 0, 0)
    await inventory.adjust("A", 11, "received")
    before = await inventory.everything()

    done = await imported(inventory, [("A", 9), ("B", 4)], metadata=STRANGER)

    assert counts(done) == (0, 0, 2, 0)
    assert await inventory.everything() == before


async def test_another_import_sets_the_quantities_anew(inventory: Inventory) -> None:
    await imported(inventory, [("A", 9)], "monday")
    await inventory.adjust("A", 11, "received")

    assert counts(await imported(inventory, [("A", 9)], "tuesday")) == (0, 1, 0, 0)

    assert await inventory.levels("A") == (9, 0, 9)


@pytest.mark.parametrize("seed", range(2))
async def test_an_import_cut_anywhere_and_repeated_is_as_one_that_was_not(
    inventory: Inventory, seed: int
) -> None:
    assert counts(await imported(inventory, ROWS)) == (1300, 0, 0, 0)
    whole = await books(inventory)
    await emptied(inventory)
    rng = random.Random(seed)

    for _ in range(2):
        call = inventory.stub.ImportStocks(
            slowly(messages(ROWS), rng.randrange(2, 1300)), metadata=SHOP, timeout=30
        )
        await asyncio.sleep(rng.uniform(0, 0.25))
        call.cancel()
    done = await imported(inventory, ROWS)

    assert done.created_count + done.unchanged_count == 1300
    assert await books(inventory) == whole


async def test_an_import_that_is_cut_off_leaves_whole_parts(inventory: Inventory) -> None:
    """Where the cut reaches the server as the end of the messages, the part it has begun is applied too."""
    call = inventory.stub.ImportStocks(slowly(messages(ROWS), 1200), metadata=SHOP, timeout=30)
    for _ in range(500):
        if await applied(inventory) == 1000:
            break
        await asyncio.sleep(0.02)

    call.cancel()
    await asyncio.sleep(0.2)

    left = await applied(inventory)
    assert left in (1000, 1199)
    assert len(await books(inventory)) == left
    assert counts(await imported(inventory, ROWS)) == (1300 - left, 0, left, 0)


@pytest.mark.parametrize("validate_only", [True, False])
@pytest.mark.parametrize("apart", [1, 700])
async def test_a_sku_named_twice_is_refused_with_both_lines(
    inventory: Inventory, apart: int, validate_only: bool
) -> None:
    rows: list[Row] = [row("A", 1, line=10), *ROWS[: apart - 1], row("A", 2, line=10 + apart), row("Z", 1)]

    done = await imported(inventory, rows, validate_only=validate_only)

    assert counts(done) == (apart + 1, 0, 0, 1)
    assert problems(done) == [(10 + apart, "A", "sku")]
    assert "line 10 " in done.problems[0].description
    if not validate_only:
        assert await inventory.levels("A") == (1, 0, 1)


async def test_a_repeat_refuses_the_second_of_two_as_the_first_call_did(inventory: Inventory) -> None:
    rows = [row("A", 1), *ROWS[:600], row("A", 2)]
    first = await imported(inventory, rows)

    again = await imported(inventory, rows)

    assert first.problems == again.problems
    assert counts(again) == (0, 0, 601, 1)
    assert await inventory.levels("A") == (1, 0, 1)


async def test_a_bad_row_takes_its_sku_for_itself(inventory: Inventory) -> None:
    done = await imported(inventory, [row("A", -1), row("A", 2)])

    assert problems(done) == [(1, "A", "quantity"), (2, "A", "sku")]
    assert counts(done) == (0, 0, 0, 2)


async def test_a_row_whose_line_is_bad_takes_its_sku_for_itself(inventory: Inventory) -> None:
    before = await inventory.everything()

    done = await imported(inventory, [row("A", 1, line=-1), row("A", 2)])

    assert problems(done) == [(-1, "A", "line"), (2, "A", "sku")]
    assert counts(done) == (0, 0, 0, 2)
    assert await inventory.everything() == before


async def test_validating_judges_as_the_import_would_and_changes_nothing(inventory: Inventory) -> None:
    await inventory.create("A", 5)
    await inventory.create("B", 5)
    await inventory.create("C", 5)
    await inventory.reserve("r1", {"A": 3})
    await inventory.reserve("r2", {"B": 3}, ttl=600)
    await inventory.let_expire("r2")
    await imported(inventory, [("D", 1)])
    rows: list[Row] = [("A", 1), ("B", 1), ("C", 5), ("D", 9), ("E", 1), ("E", 2), ("F", -1), row("A b", 1)]
    before = await inventory.everything()

    judged = await imported(inventory, rows, validate_only=True)

    assert await inventory.everything() == before
    assert counts(judged) == (1, 1, 2, 4)
    assert problems(judged) == [
        (1, "A", "quantity"),
        (6, "E", "sku"),
        (7, "F", "quantity"),
        (8, "A b", "sku"),
    ]
    assert await imported(inventory, rows) == judged


async def test_the_same_import_sent_by_two_at_once_is_applied_once(
    pair: tuple[Inventory, Inventory],
) -> None:
    one, other = pair
    rows = [(f"S{number:04}", 7) for number in range(900)]

    done = await asyncio.gather(
        imported(one, rows), imported(other, rows), imported(one, list(reversed(rows)))
    )

    assert sum(each.created_count for each in done) == 900
    assert sum(each.unchanged_count for each in done) == 1800
    ledger = {entry[-1] for entry in await books(one)}
    assert ledger == {"7 IMPORT i1 merchant:7"}


async def test_imports_meet_reservations_without_overselling(pair: tuple[Inventory, Inventory]) -> None:
    one, other = pair
    skus = [f"S{number}" for number in range(20)]
    for sku in skus:
        await one.create(sku, 10)

    async def sell(number: int) -> None:
        try:
            await other.reserve(f"r{number}", dict.fromkeys(random.sample(skus, 5), 2))
        except grpc.aio.AioRpcError as error:
            assert error.code() in (grpc.StatusCode.FAILED_PRECONDITION, *BUSY), error

    async def count(number: int) -> None:
        rows = [(sku, random.randrange(12)) for sku in random.sample(skus, 20)]
        try:
            assert sum(counts(await imported(one, rows, f"count-{number}"))) == 20
        except grpc.aio.AioRpcError as error:
            assert error.code() in BUSY, error

    await asyncio.gather(*(sell(number) for number in range(40)), *(count(number) for number in range(8)))

    for sku in skus:
        quantity, reserved, _ = await one.levels(sku)
        assert 0 <= reserved <= quantity


async def test_a_caller_that_is_silent_for_too_long_is_refused(
    inventory: Inventory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_stream, "MOST_SILENCE_SECONDS", 0.3)
    call = inventory.stub.ImportStocks(slowly(messages(ROWS), 600), metadata=SHOP, timeout=30)

    assert (await refused(call)).code is grpc.StatusCode.DEADLINE_EXCEEDED
    assert await applied(inventory) == 500


async def test_an_import_may_outlast_every_other_call(
    inventory: Inventory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("servicekit.rpc.calls.CALL_CAP_SECONDS", 0.5)
    monkeypatch.setattr("servicekit.rpc.calls.STREAM_CAP_SECONDS", 0.5)

    async def lasting() -> AsyncIterator[pb.ImportStocksRequest]:
        for request in messages(ROWS[:4]):
            yield request
            await asyncio.sleep(0.3)

    done = await inventory.stub.ImportStocks(lasting(), metadata=SHOP)

    assert counts(done) == (4, 0, 0, 0)


async def test_nothing_of_a_stream_is_kept_once_it_ends(inventory: Inventory) -> None:
    await imported(inventory, ROWS[:600])

    assert (await inventory.everything())["import_stream_line"] == []
