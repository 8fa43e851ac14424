"""ExportStocks."""

import asyncio
from collections.abc import AsyncIterator

import grpc
import pytest
from holdfast.inventory.v1 import stock_pb2
from holdfast.inventory.v1 import transfer_pb2 as pb
from sqlalchemy import text

from tests.inventory_service.client import SHOP, Inventory, refused
from tests.inventory_service.transfers import bulky_stocks, exported, imported

WAITING = text(
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    " AND state <> 'idle' AND query LIKE '%FROM inventory.stock%'"
)


def begun(inventory: Inventory) -> AsyncIterator[pb.ExportStocksResponse]:
    """An export that is read one by one."""
    return aiter(inventory.stub.ExportStocks(pb.ExportStocksRequest(), metadata=SHOP, timeout=30))


async def at_work(inventory: Inventory) -> int:
    """How many others read stocks at this moment, or keep a transaction open in which they did."""
    async with inventory.engine.connect() as connection:
        return int((await connection.execute(WAITING)).scalar_one())


async def test_every_stock_is_sent_by_sku_as_get_shows_it(inventory: Inventory) -> None:
    await imported(inventory, [(f"S{number:04}", number) for number in reversed(range(1001))])
    await inventory.reserve("r1", {"S0007": 3})

    stocks = await exported(inventory)

    assert [stock.sku for stock in stocks] == [f"S{number:04}" for number in range(1001)]
    assert stocks[7] == (await inventory.stub.GetStock(stock_pb2.GetStockRequest(sku="S0007"))).stock
    assert stocks[7].reserved_quantity == 3


async def test_filters_must_all_hold(inventory: Inventory) -> None:
    for sku in ("A1", "A2", "B1"):
        await inventory.create(sku, 1)
    await inventory.create("A3", 1, status=stock_pb2.STOCK_STATUS_PRESALE)

    in_stock = await exported(inventory, sku_prefix="A", status=stock_pb2.STOCK_STATUS_IN_STOCK)

    assert [stock.sku for stock in in_stock] == ["A1", "A2"]
    assert [stock.sku for stock in await exported(inventory, sku_prefix="B")] == ["B1"]
    assert await exported(inventory, sku_prefix="C") == []


async def test_a_request_that_cannot_be_is_refused(inventory: Inventory) -> None:
    request = pb.ExportStocksRequest(sku_prefix="x" * 65, status=99)  # type: ignore[arg-type]

    refusal = await refused(inventory.stub.ExportStocks(request, timeout=10).read())

    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert [field for field, _ in refusal.violations] == ["sku_prefix", "status"]


async def test_stocks_that_come_and_go_meanwhile_disturb_no_other(inventory: Inventory) -> None:
    await imported(inventory, [(f"S{number:04}", 0) for number in range(1200)])
    answers = begun(inventory)
    found = [(await anext(answers)).stock.sku for _ in range(10)]

    await inventory.stub.DeleteStock(stock_pb2.DeleteStockRequest(sku="S0003"), timeout=10)
    await inventory.stub.DeleteStock(stock_pb2.DeleteStockRequest(sku="S1100"), timeout=10)
    await inventory.create("S0000a")
    await inventory.create("S1199a")
    found += [answer.stock.sku async for answer in answers]

    # How far the service has read ahead is its own affair: those that come or go may be there or not.
    passing = {"S0003", "S1100", "S0000a", "S1199a"}
    there_all_the_time = [f"S{number:04}" for number in range(1200) if number not in (3, 1100)]
    assert [sku for sku in found if sku not in passing] == there_all_the_time
    assert len(found) == len(set(found))


async def test_a_slow_reader_keeps_no_transaction_open_and_no_more_than_a_part_waiting(
    inventory: Inventory,
) -> None:
    notes = await bulky_stocks(inventory, 2000)
    answers = begun(inventory)
    await anext(answers)
    await asyncio.sleep(0.5)

    assert await at_work(inventory) == 0
    async with inventory.engine.begin() as connection:
        await connection.execute(text("UPDATE inventory.stock SET notes = 'later'"))

    read = [answer.stock.details.notes async for answer in answers]
    assert len(read) == 1999
    assert read.count(notes) < 1500 and read[-1] == "later"


async def test_a_caller_that_leaves_ends_the_query(inventory: Inventory) -> None:
    await inventory.create("A", 1)
    async with inventory.engine.connect() as blocker:
        await blocker.execute(text("LOCK TABLE inventory.stock IN ACCESS EXCLUSIVE MODE"))
        call = inventory.stub.ExportStocks(pb.ExportStocksRequest(), metadata=SHOP, timeout=30)
        await asyncio.sleep(0.3)
        assert await at_work(inventory) == 1

        call.cancel()
        await asyncio.sleep(0.3)

        assert await at_work(inventory) == 0
        await blocker.rollback()
    assert len(await exported(inventory)) == 1


async def test_an_export_ends_when_its_time_is_over(
    inventory: Inventory, monkeypatch: pytest.MonkeyPatch
) -> None:
    await imported(inventory, [(f"S{number:04}", 1) for number in range(600)])
    answers = begun(inventory)
    await anext(answers)
    monkeypatch.setattr("servicekit.rpc.calls.Call.remaining", lambda _: -1.0)

    with pytest.raises(grpc.aio.AioRpcError) as late:
        async for _ in answers:
            pass

    assert late.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
