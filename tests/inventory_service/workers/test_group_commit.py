"""Batches over a real Postgres: how they grow, who is answered what, and what becomes of one that fails."""

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from structlog.testing import capture_logs

from inventory_service.application.answer_wishes import Answer, Recorded, Replay, Wish
from inventory_service.domain.commands import (
    Actor,
    CommitReservation,
    ExtendReservation,
    ReleaseReservation,
    ReservationCommand,
    ReserveStock,
)
from inventory_service.domain.errors import EtagMismatch, InsufficientStock, ReservationExists
from inventory_service.domain.reservation import Reservation, ReservationState
from inventory_service.persistence.unit_of_work import SqlUnitOfWork
from inventory_service.workers.group_commit import MOST_SECONDS, MOST_WISHES, GroupCommit
from inventory_service.workers.left_overs import LOCK_SECONDS, LeftOvers
from servicekit import transactions
from servicekit.engines import create_engine
from servicekit.errors import ConcurrentUpdate, DatabaseUnavailable, Overloaded, RequestIdReused
from servicekit.requests import RequestKey
from servicekit.tasks import Tasks
from servicekit.transactions import Transactions, own_time
from tests.inventory_service.client import Inventory
from tests.servicekit.sessions import wire_to
from tests.servicekit.waiting import until

SHOP = Actor("merchant:7")


class Till:
    """A group commit, and how many wishes each of its batches had."""

    def __init__(
        self, engine: AsyncEngine, pool: AsyncEngine, most_seconds: float = MOST_SECONDS, **bounds: Any
    ) -> None:
        self.batches: list[int] = []
        self.tasks = Tasks()
        self.group_commit = GroupCommit(
            Transactions(engine, self._counted, at_once=1, time=own_time, most_seconds=most_seconds),
            LeftOvers(
                Transactions(pool, SqlUnitOfWork, time=own_time, most_seconds=most_seconds), self.tasks
            ),
            self.tasks,
            **bounds,
        )

    def _counted(self, connection: AsyncConnection, now: datetime) -> SqlUnitOfWork:
        uow = SqlUnitOfWork(connection, now)
        opened = uow.books.open

        async def counted(commands: Sequence[ReservationCommand], *, skip_locked: bool = False) -> Any:
            self.batches.append(len(commands))
            return await opened(commands, skip_locked=skip_locked)

        uow.books.open = counted  # type: ignore[method-assign, assignment]
        return uow

    def begin(self, *wishes: Wish) -> list[asyncio.Task[Answer]]:
        """Callers that wait."""
        return [asyncio.create_task(self.group_commit.submit(wish)) for wish in wishes]

    async def answers(self, *wishes: Wish) -> list[Answer | BaseException]:
        """What each caller gets."""
        return await asyncio.gather(*self.begin(*wishes), return_exceptions=True)


@pytest.fixture
async def till(inventory: Inventory, inventory_url: str) -> AsyncIterator[Till]:
    """A group commit on the books of `inventory`, which has 1,000 units of A and of B."""
    async with tilling(inventory, inventory_url) as till:
        yield till


@asynccontextmanager
async def tilling(
    inventory: Inventory,
    url: str,
    lock_seconds: float = 0.5,
    most_seconds: float = MOST_SECONDS,
    **bounds: Any,
) -> AsyncIterator[Till]:
    for sku in ("A", "B"):
        await inventory.create(sku, 1000)
    engine = create_engine(url, pool_size=1, lock_seconds=lock_seconds, by_index=True, pre_ping=False)
    pool = create_engine(url, pool_size=5, lock_seconds=LOCK_SECONDS, by_index=True, pre_ping=False)
    till = Till(engine, pool, most_seconds, **bounds)
    try:
        yield till
    finally:
        await till.tasks.drain(10)
        await engine.dispose()
        await pool.dispose()


@asynccontextmanager
async def locked(inventory: Inventory, sku: str) -> AsyncIterator[None]:
    """Somebody else has the row of a stock in hand."""
    async with inventory.engine.begin() as connection:
        await connection.execute(
            text("SELECT FROM inventory.stock WHERE sku = :sku FOR UPDATE"), {"sku": sku}
        )
        yield


async def in_order_of_locks(inventory: Inventory) -> Sequence[str]:
    async with inventory.engine.connect() as connection:
        return (await connection.execute(text("SELECT sku FROM inventory.stock ORDER BY id"))).scalars().all()


def reserve(reservation_id: str, sku: str = "A", units: int = 1, request: RequestKey | None = None) -> Wish:
    command = ReserveStock(reservation_id, "order:1", {sku: units}, None, SHOP)
    recorded = Recorded(request, lambda held: held.reservation_id.encode()) if request else None
    return Wish(command, recorded)


def key(request_id: str, digest: str = "d") -> RequestKey:
    return RequestKey("merchant:7", "/ReserveStock", request_id, digest * 64)


def states(answers: Sequence[object]) -> list[ReservationState]:
    assert all(isinstance(answer, Reservation) for answer in answers), answers
    return [answer.state for answer in answers if isinstance(answer, Reservation)]


async def test_a_batch_is_what_arrived_while_the_one_before_ran(till: Till, inventory: Inventory) -> None:
    async with locked(inventory, "A"):
        first = till.begin(reserve("r0"))
        await until(lambda: till.batches == [1])
        more = till.begin(*(reserve(f"r{number}") for number in range(1, MOST_WISHES + 40)))
        await asyncio.sleep(0.05)
        assert till.batches == [1]

    answers = await asyncio.gather(*first, *more)

    assert states(answers) == [ReservationState.HELD] * (MOST_WISHES + 40)
    assert till.batches == [1, MOST_WISHES, 39]
    assert await inventory.levels("A") == (1000, MOST_WISHES + 40, 1000 - MOST_WISHES - 40)


async def test_wishes_are_decided_in_the_order_of_their_arrival(till: Till, inventory: Inventory) -> None:
    async with locked(inventory, "A"):
        waiting = till.begin(reserve("r0", units=997))
        await until(lambda: till.batches == [1])
        waiting += till.begin(
            reserve("r1", units=2),
            reserve("r2", units=2),
            Wish(ReleaseReservation("r1", SHOP)),
            reserve("r3", units=2),
        )
        await asyncio.sleep(0.05)

    answers = await asyncio.gather(*waiting, return_exceptions=True)

    assert till.batches == [1, 4]
    assert isinstance(answers.pop(2), InsufficientStock)
    held, released = ReservationState.HELD, ReservationState.RELEASED
    assert states(answers) == [held, held, released, held]
    assert await inventory.levels("A") == (1000, 999, 1)


async def test_what_nobody_hinders_is_not_taken_apart(till: Till) -> None:
    """Of one that is, every caller is answered too: only slower."""
    with capture_logs() as logs:
        await till.answers(reserve("r1", request=key("k1")), reserve("r2"), reserve("r3", units=2000))
        await till.answers(
            Wish(CommitReservation("r1", None, SHOP)),
            Wish(ReleaseReservation("r2", SHOP)),
            reserve("r1", request=key("k1")),
        )

    assert till.batches == [3, 3]
    assert [log["event"] for log in logs] == []


async def test_one_id_many_times_in_a_batch_holds_once(till: Till, inventory: Inventory) -> None:
    same, other = [reserve("r1", units=3)] * 20, reserve("r1", units=4)

    answers = await till.answers(*same, other)

    refused = answers.pop()
    assert isinstance(refused, ReservationExists)
    assert len(set(map(repr, answers))) == 1
    assert await inventory.levels("A") == (1000, 3, 997)


async def test_a_request_that_is_repeated_in_a_batch_or_later_gets_its_answer_again(
    till: Till, inventory: Inventory
) -> None:
    once = reserve("r1", request=key("q1"))
    changed = reserve("r2", request=key("q1", digest="e"))

    answers = await till.answers(once, once, changed)
    later = await till.answers(once, changed)

    assert isinstance(answers[0], Reservation)
    assert answers[1] == later[0] == Replay(b"r1")
    assert isinstance(answers[2], RequestIdReused) and isinstance(later[1], RequestIdReused)
    assert await inventory.levels("A") == (1000, 1, 999)


async def test_a_refused_request_is_not_on_record(till: Till, inventory: Inventory) -> None:
    [refused] = await till.answers(reserve("r1", units=1001, request=key("q1")))
    await inventory.adjust("A", 1, "more")
    [held] = await till.answers(reserve("r1", units=1001, request=key("q1")))

    assert isinstance(refused, InsufficientStock)
    assert states([held]) == [ReservationState.HELD]


async def test_who_leaves_in_time_takes_his_wish_along_and_holds_nobody_up(
    till: Till, inventory: Inventory
) -> None:
    async with locked(inventory, "A"):
        [begun] = till.begin(reserve("r0"))
        await until(lambda: till.batches == [1])
        queued = till.begin(reserve("r1"), reserve("r2"))
        await asyncio.sleep(0)
        begun.cancel()
        queued[0].cancel()
        await asyncio.sleep(0.05)

    answers = await asyncio.gather(begun, *queued, return_exceptions=True)

    assert [type(answer) for answer in answers] == [
        asyncio.CancelledError,
        asyncio.CancelledError,
        Reservation,
    ]
    # What was begun goes on to its end.
    assert (await inventory.reservation("r0")).reservation_id == "r0"
    assert await inventory.levels("A") == (1000, 2, 998)


async def test_who_comes_when_too_many_wait_is_refused_at_once(
    inventory: Inventory, inventory_url: str
) -> None:
    async with tilling(inventory, inventory_url, most_callers=4) as till:
        async with locked(inventory, "A"):
            first = till.begin(reserve("r0"))
            await until(lambda: till.batches == [1])
            waiting = till.begin(*(reserve(f"r{number}") for number in range(1, 4)))
            await asyncio.sleep(0)
            async with asyncio.timeout(0.05):
                [surplus] = await till.answers(reserve("r4"))

        assert isinstance(surplus, Overloaded)
        assert states(await asyncio.gather(*first, *waiting)) == [ReservationState.HELD] * 4
    assert await inventory.levels("A") == (1000, 4, 996)


@pytest.fixture
async def poisonous(inventory: Inventory) -> AsyncIterator[None]:
    """The database fails at one reservation, whoever else is in its transaction."""
    async with inventory.engine.begin() as connection:
        await connection.exec_driver_sql(
            "CREATE FUNCTION inventory.refuse_poison() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            " RAISE EXCEPTION 'poison' USING ERRCODE = 'XX001'; END $$"
        )
        await connection.exec_driver_sql(
            "CREATE TRIGGER poison BEFORE INSERT ON inventory.reservation FOR EACH ROW"
            " WHEN (NEW.reservation_id = 'poison') EXECUTE FUNCTION inventory.refuse_poison()"
        )
    yield
    async with inventory.engine.begin() as connection:
        await connection.exec_driver_sql("DROP FUNCTION inventory.refuse_poison CASCADE")


@pytest.mark.usefixtures("poisonous")
async def test_a_batch_that_fails_is_taken_apart_and_only_the_guilty_fails(
    till: Till, inventory: Inventory
) -> None:
    wishes = [reserve(f"r{number}") for number in range(20)]

    answers = await till.answers(*wishes[:9], reserve("poison"), *wishes[9:])

    assert "poison" in str(answers.pop(9))
    assert states(answers) == [ReservationState.HELD] * 20
    assert await inventory.levels("A") == (1000, 20, 980)


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


async def test_a_due_hold_that_others_keep_locked_refuses_nobody(
    inventory: Inventory, inventory_url: str
) -> None:
    async with tilling(inventory, inventory_url, lock_seconds=0.1) as till:
        await inventory.reserve("old", {"A": 1000, "B": 1000}, ttl=60)
        await inventory.let_expire("old")
        async with locked(inventory, "A"):
            [waiting] = till.begin(reserve("new", "B", 1000))
            await asyncio.sleep(0.5)
            assert not waiting.done()

        assert states([await waiting]) == [ReservationState.HELD]


async def test_who_waits_for_a_stock_that_others_never_let_go_of_is_told_so(
    inventory: Inventory, inventory_url: str
) -> None:
    async with tilling(inventory, inventory_url, lock_seconds=0.1) as till, locked(inventory, "A"):
        stuck, neighbour = await till.answers(reserve("r1", "A"), reserve("r2", "B"))

    assert isinstance(stuck, ConcurrentUpdate)
    assert states([neighbour]) == [ReservationState.HELD]
    assert await inventory.levels("A") == (1000, 0, 1000)


@pytest.mark.parametrize("etag", [None, 1], ids=["in a batch", "beside the batches"])
async def test_a_session_that_falls_silent_fails_its_wishes_in_time_and_stops_nothing(
    inventory: Inventory, inventory_url: str, monkeypatch: pytest.MonkeyPatch, etag: int | None
) -> None:
    monkeypatch.setattr(transactions, "CLOSING_SECONDS", 0.2)
    command = ExtendReservation("old", timedelta(hours=1), SHOP, expected_version=etag)
    wishes = [Wish(command), *([] if etag else [reserve("r1"), reserve("r2")])]
    async with (
        wire_to(inventory_url) as (through, wire),
        tilling(inventory, through, most_seconds=0.5) as till,
    ):
        await inventory.reserve("old", {"B": 1}, ttl=60)
        await till.answers(reserve("r0", "B"), Wish(replace(command, expected_version=7)))
        wire.silence()
        silent = await till.answers(*wishes)
        again = await till.answers(*wishes)
        wire.cut()

    assert {type(answer) for answer in silent} == {DatabaseUnavailable}
    assert len(set(map(id, silent))) == len(silent)
    assert states(again) == [ReservationState.HELD] * len(wishes)
    assert (await inventory.levels("A"))[1] == len(wishes) - 1


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_batch_whose_connection_is_lost_in_its_commit_is_run_again_and_has_one_effect(
    inventory: Inventory, inventory_url: str, when: str
) -> None:
    async with wire_to(inventory_url) as (through, wire), tilling(inventory, through) as till:
        await till.answers(reserve("r0"))
        wire.cut_commit = when
        answers = await till.answers(reserve("r1"), reserve("r2"))

    assert states(answers) == [ReservationState.HELD] * 2
    assert till.batches == [1, 2, 2]
    assert await inventory.levels("A") == (1000, 3, 997)


async def test_who_has_left_makes_room_for_others(inventory: Inventory, inventory_url: str) -> None:
    async with tilling(inventory, inventory_url, most_callers=2) as till:
        async with locked(inventory, "A"):
            left = till.begin(reserve("r0"), reserve("r1"))
            await until(lambda: till.batches == [2])
            for caller in left:
                caller.cancel()
            await asyncio.gather(*left, return_exceptions=True)
            came = till.begin(reserve("r2"), reserve("r3"))
            await asyncio.sleep(0)

        assert states(await asyncio.gather(*came)) == [ReservationState.HELD] * 2


async def test_an_extension_that_does_not_know_its_own_effect_is_not_run_again(
    inventory: Inventory, inventory_url: str
) -> None:
    extend = ExtendReservation("r1", timedelta(hours=1), SHOP, expected_version=1)

    async with wire_to(inventory_url) as (through, wire), tilling(inventory, through) as till:
        await inventory.reserve("r1", {"A": 1}, ttl=60)
        # The first use of a pool commits by itself.
        await till.answers(Wish(replace(extend, expected_version=7)))
        wire.cut_commit = "after"
        [unknown] = await till.answers(Wish(extend))
        [again] = await till.answers(Wish(extend))

    assert isinstance(unknown, DatabaseUnavailable)
    assert isinstance(again, EtagMismatch)
    assert till.batches == []


async def test_without_a_database_everybody_hears_so_at_once(
    inventory: Inventory, inventory_url: str
) -> None:
    nowhere = create_engine("postgresql+asyncpg://nobody@127.0.0.1:1/none", pool_size=1)
    till = Till(nowhere, nowhere)

    async with asyncio.timeout(5):
        answers = await till.answers(*(reserve(f"r{number}") for number in range(50)))

    assert {type(answer) for answer in answers} == {DatabaseUnavailable}
