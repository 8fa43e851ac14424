"""Batches over a real Postgres: how they grow, who is answered what, and what becomes of one that fails."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from inventory_service.application.answer_wishes import Replay, Wish
from inventory_service.domain.commands import (
    CommitReservation,
    ExtendReservation,
    ReleaseReservation,
    ReserveStock,
)
from inventory_service.domain.errors import EtagMismatch, InsufficientStock, ReservationExists
from inventory_service.domain.reservation import Reservation, ReservationState
from inventory_service.workers import group_commit
from inventory_service.workers.batches import MOST_WISHES
from servicekit.errors import DatabaseUnavailable, Overloaded, RequestIdReused
from servicekit.persistence import transactions
from servicekit.persistence.engines import create_engine
from tests.inventory_service.client import Inventory
from tests.inventory_service.workers.tills import SHOP, Till, key, locked, reserve, states, tilling
from tests.servicekit.sessions import wire_to
from tests.servicekit.waiting import until


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


@pytest.mark.parametrize(
    ("lines", "enough"), [(1, group_commit.ENOUGH_WISHES), (50, group_commit.ENOUGH_LINES // 50)]
)
async def test_where_enough_wait_their_batch_begins_while_others_arrive(
    till: Till, inventory: Inventory, lines: int, enough: int
) -> None:
    for number in range(1, lines):
        await inventory.create(f"A{number}", 1000)
    units = {"A": 1} | {f"A{number}": 1 for number in range(1, lines)}

    async def arriving(turns: int) -> None:
        """By itself, so many turns of the loop later."""
        for _ in range(turns):
            await asyncio.sleep(0)
        await till.group_commit.submit(Wish(ReserveStock(f"r{turns}", "order:1", units, None, SHOP)))

    await asyncio.gather(*(arriving(number) for number in range(2 * enough)))

    assert till.batches[0] == enough
    assert sum(till.batches) == 2 * enough
    assert await inventory.levels("A") == (1000, 2 * enough, 1000 - 2 * enough)


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


async def test_who_comes_when_slow_batches_would_keep_it_waiting_for_too_long_is_refused_at_once(
    inventory: Inventory, inventory_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "MOST_WISHES", 4)
    monkeypatch.setattr(group_commit, "MOST_WAIT_SECONDS", 1.0)
    async with tilling(inventory, inventory_url, lock_seconds=10) as till:
        async with locked(inventory, "B"):
            async with locked(inventory, "A"):
                waiting = till.begin(*(reserve(f"r{number}") for number in range(4)))
                waiting += till.begin(*(reserve(f"r{number}", "B") for number in range(4, 12)))
                await asyncio.sleep(1.0)
                # Nothing has shown yet how long it would wait.
                waiting += till.begin(reserve("r12"))
                await asyncio.sleep(0)
            await until(lambda: till.batches == [4, 4])
            async with asyncio.timeout(0.05):
                [surplus] = await till.answers(reserve("r13"))
        answers = await asyncio.gather(*waiting)
        again = await till.answers(*(reserve(f"s{number}") for number in range(12)))

    assert isinstance(surplus, Overloaded)
    assert states(answers) == [ReservationState.HELD] * 13
    assert states(again) == [ReservationState.HELD] * 12


async def test_what_a_lone_wish_waited_for_refuses_nobody_else(
    inventory: Inventory, inventory_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "MOST_WISHES", 4)
    monkeypatch.setattr(group_commit, "MOST_WAIT_SECONDS", 1.0)
    async with tilling(inventory, inventory_url, lock_seconds=10) as till:
        async with locked(inventory, "A"):
            alone = till.begin(reserve("r0"))
            await asyncio.sleep(0.5)
        assert states(await asyncio.gather(*alone)) == [ReservationState.HELD]
        answers = await till.answers(*(reserve(f"s{number}") for number in range(12)))

    assert states(answers) == [ReservationState.HELD] * 12


async def test_slow_batches_refuse_nobody_once_all_that_waited_for_them_have_left(
    inventory: Inventory, inventory_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "MOST_WISHES", 4)
    monkeypatch.setattr(group_commit, "MOST_WAIT_SECONDS", 1.0)
    monkeypatch.setattr(group_commit, "MOST_PATIENCE_SECONDS", 0.5)
    async with tilling(inventory, inventory_url, lock_seconds=10) as till:
        async with locked(inventory, "A"):
            waiting = till.begin(*(reserve(f"r{number}") for number in range(6)))
            await asyncio.sleep(1.0)
        answers = await asyncio.gather(*waiting, return_exceptions=True)
        again = await till.answers(*(reserve(f"s{number}") for number in range(12)))

    assert states(answers[:4]) == [ReservationState.HELD] * 4
    assert [type(answer) for answer in answers[4:]] == [Overloaded] * 2
    assert states(again) == [ReservationState.HELD] * 12


async def test_who_was_taken_on_and_waited_for_too_long_is_told_that_nothing_was_done(
    inventory: Inventory, inventory_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "MOST_PATIENCE_SECONDS", 0.5)
    async with tilling(inventory, inventory_url, lock_seconds=10) as till:
        async with locked(inventory, "A"):
            begun = till.begin(reserve("r0"))
            await until(lambda: till.batches == [1])
            late = till.begin(reserve("r1"), reserve("r2"))
            await asyncio.sleep(0.6)
        answers = await asyncio.gather(*begun, *late, return_exceptions=True)

    assert states(answers[:1]) == [ReservationState.HELD]
    assert [type(answer) for answer in answers[1:]] == [Overloaded] * 2
    assert await inventory.levels("A") == (1000, 1, 999)


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
