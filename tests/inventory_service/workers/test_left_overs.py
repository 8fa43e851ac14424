"""What others have locked: its wishes wait for it, and nobody else does."""

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from inventory_service.application.answer_wishes import Recorded, Wish
from inventory_service.application.locks import Kind
from inventory_service.domain.commands import (
    CommitReservation,
    ExtendReservation,
    ReleaseReservation,
    ReserveStock,
)
from inventory_service.domain.reservation import Reservation, ReservationState
from inventory_service.persistence import lock_waits
from inventory_service.persistence.fixed import Fixed
from inventory_service.workers import batches
from inventory_service.workers.batches import MOST_WISHES
from servicekit.errors import ConcurrentUpdate, DatabaseUnavailable
from tests.inventory_service.client import Inventory
from tests.inventory_service.workers.tills import SHOP, key, locked, reserve, states, tilling
from tests.servicekit.sessions import wire_to
from tests.servicekit.waiting import until

STOCK = "SELECT FROM inventory.stock WHERE sku = :name FOR UPDATE"
RESERVATION = "SELECT FROM inventory.reservation WHERE reservation_id = :name FOR UPDATE"
RESERVATION_NAME = "SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"
REQUEST_NAME = "SELECT pg_advisory_xact_lock(hashtextextended('merchant:7 /ReserveStock ' || :name, 1))"


@asynccontextmanager
async def locked_by(inventory: Inventory, statement: str, name: str) -> AsyncIterator[None]:
    """Somebody else has it in hand."""
    async with inventory.engine.begin() as connection:
        await connection.execute(text(statement), {"name": name})
        yield


async def in_order_of_locks(inventory: Inventory) -> Sequence[str]:
    async with inventory.engine.connect() as connection:
        return (await connection.execute(text("SELECT sku FROM inventory.stock ORDER BY id"))).scalars().all()


async def test_a_stock_that_others_keep_locked_holds_up_its_own_wishes_only(
    inventory: Inventory, inventory_url: str
) -> None:
    async with tilling(inventory, inventory_url, lock_seconds=0.1) as till:
        async with locked(inventory, "A"):
            stuck = till.begin(*(reserve(f"a{number}", "A") for number in range(30)))
            waits: list[float] = []
            for number in range(10):
                began = time.monotonic()
                stuck += till.begin(reserve(f"a{number + 30}", "A"))
                assert states(await till.answers(reserve(f"b{number}", "B"))) == [ReservationState.HELD]
                waits.append(time.monotonic() - began)
            assert statistics.median(waits) < 0.6

        assert states(await asyncio.gather(*stuck)) == [ReservationState.HELD] * 40
        assert await inventory.levels("A") == (1000, 40, 960)


async def test_who_waits_for_a_locked_stock_keeps_no_other_stock_from_anybody(
    inventory: Inventory, inventory_url: str
) -> None:
    async with tilling(inventory, inventory_url, lock_seconds=0.1) as till:
        # In the order in which rows are locked: one that waits for the last has the first in hand.
        first, last = await in_order_of_locks(inventory)
        async with locked(inventory, last):
            both = ReserveStock("both", "order:1", {first: 1, last: 1}, None, SHOP)
            [stuck] = till.begin(Wish(both))
            waits: list[float] = []
            for number in range(10):
                began = time.monotonic()
                assert states(await till.answers(reserve(f"b{number}", first))) == [ReservationState.HELD]
                waits.append(time.monotonic() - began)
                await asyncio.sleep(0.1)
            assert statistics.median(waits) < 0.3

        assert states([await stuck]) == [ReservationState.HELD]


@pytest.mark.parametrize("by", [STOCK, RESERVATION], ids=["stock", "row"])
async def test_a_due_hold_that_others_keep_locked_refuses_nobody(
    inventory: Inventory, inventory_url: str, by: str
) -> None:
    async with tilling(inventory, inventory_url, lock_seconds=0.1) as till:
        await inventory.reserve("old", {"A": 1000, "B": 1000}, ttl=60)
        await inventory.let_expire("old")
        async with locked_by(inventory, by, "A" if by == STOCK else "old"):
            [waiting] = till.begin(reserve("new", "B", 1000))
            await asyncio.sleep(0.5)
            assert not waiting.done()

        assert states([await waiting]) == [ReservationState.HELD]


async def test_who_waits_for_a_stock_that_others_never_let_go_of_is_told_so(
    inventory: Inventory, inventory_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "MOST_PATIENCE_SECONDS", 0.5)
    async with tilling(inventory, inventory_url, lock_seconds=0.1) as till, locked(inventory, "A"):
        stuck, neighbour = await till.answers(reserve("r1", "A"), reserve("r2", "B"))

    assert isinstance(stuck, ConcurrentUpdate)
    assert states([neighbour]) == [ReservationState.HELD]
    assert await inventory.levels("A") == (1000, 0, 1000)


@pytest.mark.parametrize(
    ("by", "wish"),
    [
        (RESERVATION, Wish(CommitReservation("old", None, SHOP))),
        (RESERVATION, Wish(ReleaseReservation("old", SHOP), Recorded(key("q1"), lambda _: b""))),
        (RESERVATION_NAME, reserve("old")),
        (RESERVATION_NAME, Wish(ReleaseReservation("old", SHOP))),
        (REQUEST_NAME, reserve("new", request=key("old"))),
    ],
    ids=["commit", "release", "reserved before", "name", "request"],
)
async def test_what_others_have_of_one_wish_hinders_no_neighbour(
    inventory: Inventory, inventory_url: str, by: str, wish: Wish
) -> None:
    async with tilling(inventory, inventory_url, lock_seconds=0.1) as till:
        await inventory.reserve("old", {"A": 1}, holder="order:1")
        neighbours = [reserve(f"r{number}") for number in range(MOST_WISHES - 1)]
        with capture_logs() as logs:
            async with locked_by(inventory, by, "old"):
                [waiting] = till.begin(wish)
                assert states(await till.answers(*neighbours)) == [ReservationState.HELD] * len(neighbours)
                assert not waiting.done()

            assert isinstance(await waiting, Reservation)

        assert till.batches in ([256], [256, 256])
        assert not [log for log in logs if log["event"] == "batch is taken apart"]


async def test_a_stock_that_is_waited_for_is_left_to_those_who_wait(
    inventory: Inventory, inventory_url: str
) -> None:
    async with tilling(inventory, inventory_url, lock_seconds=0.1) as till:
        async with locked(inventory, "A"):
            stuck = till.begin(reserve("a"))
            await until(lambda: len(till.batches) == 2)
            for number in range(5):
                stuck += till.begin(reserve(f"a{number}"))
                await till.answers(reserve(f"b{number}", "B"))
            assert till.batches == [1, 1, *[1] * 5]

        assert states(await asyncio.gather(*stuck)) == [ReservationState.HELD] * 6


async def test_nobody_is_refused_for_a_table_that_others_lock_for_a_while(
    inventory: Inventory, inventory_url: str
) -> None:
    async with tilling(inventory, inventory_url, lock_seconds=0.1) as till:
        async with inventory.engine.begin() as connection:
            await connection.exec_driver_sql("LOCK TABLE inventory.reservation IN ACCESS EXCLUSIVE MODE")
            waiting = till.begin(*(reserve(f"r{number}") for number in range(4)))
            # As often as it takes to come down to single wishes, each try with two waits.
            await asyncio.sleep(1.5)

        assert states(await asyncio.gather(*waiting)) == [ReservationState.HELD] * 4


async def test_who_queues_for_a_lock_is_answered_where_the_database_fails_the_wait_for_it(
    inventory: Inventory, inventory_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(lock_waits._WAYS, Kind.STOCK, [Fixed("SELECT 1 / 0")])
    async with tilling(inventory, inventory_url, lock_seconds=0.1) as till:
        async with locked(inventory, "A"):
            waiting = till.begin(reserve("a1"), reserve("a2"))
            await asyncio.sleep(0.5)
            assert not any(caller.done() for caller in waiting)

        async with asyncio.timeout(5):
            assert states(await asyncio.gather(*waiting)) == [ReservationState.HELD] * 2


async def test_an_extension_that_does_not_know_its_own_effect_queues_with_others_and_fails_none_of_them(
    inventory: Inventory, inventory_url: str
) -> None:
    extend = Wish(ExtendReservation("old", timedelta(hours=1), SHOP, expected_version=1))
    async with (
        wire_to(inventory_url) as (through, wire),
        tilling(inventory, through, lock_seconds=0.1) as till,
    ):
        await inventory.reserve("old", {"A": 1}, ttl=60)
        async with locked(inventory, "A"):
            [unknown] = till.begin(extend)
            await until(lambda: len(till.left_overs) == 1)
            others = till.begin(reserve("r1"), reserve("r2"))
            await asyncio.sleep(0.1)
            await until(lambda: till.group_commit.waiting == 0)
            # That of the wait itself, and that of what waited.
            wire.cut_commit = "after"
        while wire.cut_commit:  # noqa: ASYNC110  # whoever waits longer misses the second
            await asyncio.sleep(0)
        wire.cut_commit = "after"

        assert states(await asyncio.gather(*others)) == [ReservationState.HELD] * 2
        assert isinstance((await asyncio.gather(unknown, return_exceptions=True))[0], DatabaseUnavailable)
