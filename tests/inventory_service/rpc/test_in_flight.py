"""The bounded work of a stream, and its end."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest

from inventory_service.rpc.in_flight import answers


async def numbers(upto: int, read: list[int]) -> AsyncIterator[int]:
    for number in range(upto):
        read.append(number)
        yield number


async def test_only_so_many_are_at_work_at_once() -> None:
    at_work = most_at_work = 0

    async def answer(number: int) -> int:
        nonlocal at_work, most_at_work
        at_work += 1
        most_at_work = max(most_at_work, at_work)
        await asyncio.sleep(0.001 * (number % 3))
        at_work -= 1
        return number

    found = [answered async for answered in answers(numbers(50, []), answer, 4, asyncio.Event())]

    assert sorted(found) == list(range(50))
    assert most_at_work == 4


async def test_no_more_is_read_while_nobody_takes_the_answers() -> None:
    read: list[int] = []

    async def answer(number: int) -> int:
        return number

    stream = answers(numbers(50, read), answer, 4, asyncio.Event())
    await anext(stream)
    await asyncio.sleep(0.05)

    assert len(read) == 4
    assert len([answered async for answered in stream]) == 49


async def test_requests_that_break_off_end_the_answers_after_those_at_work() -> None:
    async def broken() -> AsyncIterator[int]:
        yield 1
        raise ConnectionError

    async def answer(number: int) -> int:
        await asyncio.sleep(0.01)
        return number

    found = []
    with pytest.raises(ConnectionError):
        async for answered in answers(broken(), answer, 4, asyncio.Event()):
            found.append(answered)

    assert found == [1]


async def test_after_the_event_requests_are_read_and_given_to_nobody() -> None:
    end, read = asyncio.Event(), list[int]()

    async def answer(number: int) -> int:
        return number

    stream = answers(numbers(50, read), answer, 1, end)
    found = [await anext(stream)]
    end.set()
    found += [answered async for answered in stream]

    assert (found, len(read)) == ([0], 50)


async def test_the_event_ends_a_stream_whose_requests_never_come_once_those_at_work_are_answered() -> None:
    async def then_silent() -> AsyncIterator[int]:
        yield 1
        await asyncio.sleep(60)

    async def answer(number: int) -> int:
        await asyncio.sleep(0.1)
        return number

    end = asyncio.Event()
    asyncio.get_running_loop().call_later(0.05, end.set)

    async with asyncio.timeout(5):
        assert [answered async for answered in answers(then_silent(), answer, 4, end)] == [1]


async def test_whoever_leaves_midway_leaves_nothing_at_work() -> None:
    ended: list[int] = []

    async def answer(number: int) -> int:
        try:
            await asyncio.sleep(60 * number)
        finally:
            ended.append(number)
        return number

    async with aclosing(answers(numbers(50, []), answer, 4, asyncio.Event())) as stream:
        await anext(stream)
    await asyncio.sleep(0.01)

    assert sorted(ended) == [0, 1, 2, 3]
