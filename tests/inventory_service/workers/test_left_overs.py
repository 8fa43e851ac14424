"""What others have locked: its wishes wait for it, and nobody else does."""

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError
from structlog.testing import capture_logs

from inventory_service.application.answer_wishes import Recorded, Wish
from inventory_service.application.locks import Kind, Lockable
from inventory_service.domain.commands import CommitReservation, ReleaseReservation, ReserveStock
from inventory_service.domain.reservation import Reservation, ReservationState
from inventory_service.persistence.unit_of_work import SqlUnitOfWork
from inventory_service.workers import batches
from inventory_service.workers.group_commit import MOST_WISHES
from inventory_service.workers.left_overs import LeftOvers
from inventory_service.workers.pending_wish import PendingWish
from servicekit.errors import ConcurrentUpdate
from servicekit.persistence.engines import create_engine
from servicekit.persistence.transactions import Transactions, own_time
from servicekit.tasks import Tasks
from tests.inventory_service.client import Inventory
from tests.inventory_service.workers.tills import SHOP, key, locked, reserve, states, tilling
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


async def test_a_wait_that_the_database_fails_leaves_nobody_without_an_answer(postgres_url: str) -> None:
    without_tables = create_engine(postgres_url)
    left_overs = LeftOvers(Transactions(without_tables, SqlUnitOfWork, time=own_time), Tasks())
    pending = PendingWish(reserve("r1", "A"))

    left_overs.wait([(pending, Lockable(Kind.STOCK, "A"))])

    with pytest.raises(ProgrammingError):
        await asyncio.wait_for(pending.answer, 5)
    await without_tables.dispose()
