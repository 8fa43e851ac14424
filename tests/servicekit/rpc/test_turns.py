"""Turns: who wants what many want waits in line, and in nobody else's way."""

import asyncio

import pytest

from servicekit import places
from servicekit.errors import ConcurrentUpdate, Overloaded
from servicekit.rpc import turns
from servicekit.rpc.turns import AT_ONCE, Turns


async def test_so_many_at_a_time_have_one_name_in_the_order_in_which_they_came() -> None:
    by_name, began, end = Turns(lambda _others: True), list[str](), asyncio.Event()

    async def work(label: str, name: str) -> None:
        async with by_name.of(name):
            began.append(label)
            await end.wait()

    working = [asyncio.create_task(work(f"a{number}", "A")) for number in range(5)]
    working.append(asyncio.create_task(work("b", "B")))
    await asyncio.sleep(0)
    assert began == ["a0", "a1", "b"] and AT_ONCE == 2

    working[2].cancel()
    end.set()
    await asyncio.gather(*working, return_exceptions=True)
    assert began == ["a0", "a1", "b", "a3", "a4"]


async def test_where_too_many_wait_one_more_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "MOST_WAITING", 1)
    by_name = Turns(lambda _others: True)
    async with by_name.of("A"), by_name.of("A"):
        waiting = asyncio.create_task(by_name.of("A").__aenter__())
        await asyncio.sleep(0)
        with pytest.raises(Overloaded):
            async with by_name.of("A"):
                pass
        waiting.cancel()


async def test_where_no_connection_is_to_be_had_in_time_nobody_waits_for_a_turn() -> None:
    asked: list[int] = []

    def has_room(others: int) -> bool:
        asked.append(others)
        return others < 1

    by_name = Turns(has_room)
    async with by_name.of("A"), by_name.of("A"):
        waiting = asyncio.create_task(by_name.of("A").__aenter__())
        await asyncio.sleep(0)
        with pytest.raises(Overloaded):
            async with by_name.of("B"):
                pass
        waiting.cancel()

    assert asked == [0, 0, 0, 1]


async def test_who_gets_no_turn_in_time_is_told_that_nothing_was_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(places, "MOST_PATIENCE_SECONDS", 0.05)
    by_name = Turns(lambda _others: True)

    async with by_name.of("A"), by_name.of("A"):
        with pytest.raises(ConcurrentUpdate):
            async with by_name.of("A"):
                pass
        async with by_name.of("B"):
            pass
    async with by_name.of("A"):
        pass
