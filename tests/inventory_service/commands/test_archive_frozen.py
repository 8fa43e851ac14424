"""An archive whose process stands still before its commit stops the ledger only for an instant."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from holdfast.inventory.v1 import movement_pb2

from inventory_service.persistence.unit_of_work import SqlUnitOfWork
from servicekit.errors import DatabaseUnavailable
from servicekit.persistence.engines import create_engine
from servicekit.persistence.transactions import Transactions
from tests.inventory_service.client import Inventory
from tests.inventory_service.commands.conftest import ArchiveCommand
from tests.inventory_service.ledger import JANUARY, Ledger


async def leave(uow: SqlUnitOfWork) -> None:
    """Takes January out of the ledger."""
    await uow.ledger_partitions.detach(JANUARY)


async def come_back(uow: SqlUnitOfWork) -> None:
    """Makes January part of the ledger again."""
    await uow.ledger_partitions.take_back(JANUARY)
    await uow.ledger_partitions.attach(JANUARY)


@pytest.mark.parametrize("change", [leave, come_back])
async def test_an_archive_that_is_frozen_before_its_commit_lets_go_of_the_ledger(
    inventory: Inventory,
    ledger: Ledger,
    archive: ArchiveCommand,
    change: Callable[[SqlUnitOfWork], Awaitable[None]],
) -> None:
    if change is come_back:
        await archive("--before", "2024-02")
    before = await ledger.state()
    quantity = (await inventory.levels("P0"))[0]
    changed, thawed = asyncio.Event(), asyncio.Event()

    async def frozen(uow: SqlUnitOfWork) -> None:
        await change(uow)
        changed.set()
        await thawed.wait()

    engine = create_engine(archive.url, pool_size=1, for_migrations=True)
    freezing = asyncio.create_task(Transactions(engine, SqlUnitOfWork).run(frozen))
    await changed.wait()
    try:
        await inventory.stub.ListMovements(movement_pb2.ListMovementsRequest())
        await inventory.adjust("P0", 1, "beside the frozen one")
    finally:
        thawed.set()
        outcome = (await asyncio.gather(freezing, return_exceptions=True))[0]
        await engine.dispose()

    assert isinstance(outcome, DatabaseUnavailable)
    assert await inventory.levels("P0") == (quantity + 1, 0, quantity + 1)
    after = await ledger.state()
    assert len(after.pop("entries")) == len(before.pop("entries")) + 1
    assert after == before
