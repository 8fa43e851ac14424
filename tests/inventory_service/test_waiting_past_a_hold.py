"""A call that waits for a stock is judged by the time at which it gets it, not by that at which it came."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import text

from servicekit.rpc.turns import AT_ONCE
from tests.inventory_service.client import Inventory, refused


@asynccontextmanager
async def kept_waiting(inventory: Inventory, sku: str) -> AsyncIterator[None]:
    """Somebody else has the stock's row locked."""
    async with inventory.engine.connect() as blocker:
        await blocker.execute(text("SELECT FROM inventory.stock WHERE sku = :sku FOR UPDATE"), {"sku": sku})
        yield
        await blocker.rollback()


@pytest.mark.parametrize("verb", ["commit", "extend"])
async def test_a_hold_that_ends_meanwhile_is_expired(inventory: Inventory, verb: str) -> None:
    await inventory.create("A", 5)
    await inventory.reserve("r1", {"A": 2}, ttl=1)
    async with kept_waiting(inventory, "A"):
        call = inventory.commit("r1") if verb == "commit" else inventory.extend("r1", 60)
        waiting = asyncio.create_task(refused(call))
        await asyncio.sleep(1.2)

    assert (await waiting).reason == "RESERVATION_EXPIRED"
    assert (await inventory.levels("A"))[0] == 5


async def test_units_of_a_hold_that_ends_meanwhile_can_be_had(inventory: Inventory) -> None:
    for sku in ("A", "B"):
        await inventory.create(sku, 5)
    await inventory.reserve("r1", {"A": 5, "B": 5}, ttl=1)
    async with kept_waiting(inventory, "A"):
        waiting = asyncio.create_task(inventory.reserve("r2", {"A": 5}))
        await asyncio.sleep(1.2)

    assert (await waiting).lines[0].quantity == 5
    assert await inventory.levels("A") == (5, 5, 0)
    assert await inventory.levels("B") == (5, 0, 5)


async def test_changes_of_a_stock_that_others_have_locked_keep_no_other_change_waiting(
    inventory: Inventory,
) -> None:
    for sku in ("A", "B"):
        await inventory.create(sku, 5)
    async with kept_waiting(inventory, "A"):
        stuck = [asyncio.create_task(inventory.adjust("A", 1, f"a{number}")) for number in range(12)]
        while await sessions_waiting(inventory) < AT_ONCE:  # noqa: ASYNC110 - the engine calls nobody
            await asyncio.sleep(0.005)

        assert (await inventory.adjust("B", 1, "b")).quantity == 6

        assert await sessions_waiting(inventory) <= AT_ONCE

    await asyncio.gather(*stuck)
    assert await inventory.levels("A") == (17, 0, 17)


async def sessions_waiting(inventory: Inventory) -> int:
    """How many sessions wait for a lock."""
    query = text(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    async with inventory.engine.connect() as connection:
        return int((await connection.execute(query)).scalar_one())
