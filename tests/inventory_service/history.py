"""Movements of other days, counting, and the facts as callers read them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from holdfast.inventory.v1 import reports_pb2 as pb
from holdfast.inventory.v1 import stock_pb2
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from inventory_service.application.count_movements import count_movements
from inventory_service.persistence.unit_of_work import SqlUnitOfWork
from servicekit.persistence.engines import create_engine
from servicekit.persistence.transactions import Transactions
from tests.inventory_service.client import Inventory

BY_SKU = pb.DAILY_FACT_GROUPING_SKU
Row = tuple[str, str, int, int, int, int]
"""(day, group, received, sold, returned, adjusted)."""

MOVE = (
    text("UPDATE inventory.stock SET quantity = quantity + :delta WHERE sku = :sku"),
    text(
        "INSERT INTO inventory.stock_movement (create_time, stock_id, delta, reason, actor)"
        " SELECT CAST(:time AS timestamptz), id, :delta, :reason, 'test' FROM inventory.stock WHERE sku = :sku"
    ),
)


async def move(connection: AsyncConnection, sku: str, delta: int, reason: str, time: str) -> None:
    """A movement at a time, as a service wrote it then; the caller commits."""
    for statement in MOVE:
        values = {"sku": sku, "delta": delta, "reason": reason, "time": datetime.fromisoformat(time)}
        await connection.execute(statement, {name: values[name] for name in statement.compile().params})


async def moved(inventory: Inventory, sku: str, delta: int, reason: str, time: str) -> None:
    """Such a movement, committed."""
    async with inventory.engine.begin() as connection:
        await move(connection, sku, delta, reason, time)


@asynccontextmanager
async def counter(url: str) -> AsyncIterator[Transactions[SqlUnitOfWork]]:
    """A runner of a counter's own."""
    engine = create_engine(url, pool_size=3)
    yield Transactions(engine, SqlUnitOfWork)
    await engine.dispose()


async def count_all(url: str, batch: int = 1000) -> int:
    """Counts until nothing is left; answers how many batches it took."""
    async with counter(url) as transactions:
        batches = 0
        while (await transactions.run(lambda uow: count_movements(batch, uow))).counted:
            batches += 1
        return batches


def instant(text: str) -> Timestamp:
    """A Timestamp from its ISO form."""
    message = Timestamp()
    message.FromDatetime(datetime.fromisoformat(text))
    return message


def row(fact: pb.DailyFact) -> Row:
    """A fact in short."""
    status = stock_pb2.StockStatus.Name(fact.status)
    platform = stock_pb2.Platform.Name(fact.platform)
    group = fact.sku or f"{status.removeprefix('STOCK_STATUS_')} {platform.removeprefix('PLATFORM_')}"
    numbers = (
        fact.received_quantity,
        fact.sold_quantity,
        fact.returned_quantity,
        fact.adjusted_quantity,
    )
    return (fact.day_time.ToDatetime().date().isoformat(), group, *numbers)


async def facts(inventory: Inventory, **fields: Any) -> list[Row]:
    """ListDailyFacts, its first page."""
    answer = await inventory.stub.ListDailyFacts(pb.ListDailyFactsRequest(**fields), timeout=10)
    return [row(fact) for fact in answer.facts]
