"""The bounded work of a stream, and its end."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from inventory_service.rpc.in_flight import answers, until


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

    found = [answered async for answered in answers(numbers(50, []), answer, 4)]

    assert sorted(found) == list(range(50))
    assert most_at_work == 4


async def test_no_more_is_read_while_nobody_takes_the_answers() -> None:
    read: list[int] = []

    async def answer(number: int) -> int:
        return number

    stream = answers(numbers(50, read), answer, 4)
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
        async for answered in answers(broken(), answer, 4):
            found.append(answered)

    assert found == [1]


async def test_requests_pass_until_their_end() -> None:
    assert [number async for number in until(numbers(3, []), asyncio.Event())] == [0, 1, 2]


async def test_after_the_event_requests_are_read_and_given_to_nobody() -> None:
    end, read = asyncio.Event(), list[int]()
    requests = until(numbers(50, read), end)
    passed = [await anext(requests)]

    end.set()

    assert [number async for number in requests] == []
    assert (passed, len(read)) == ([0], 50)


async def test_the_event_ends_requests_that_never_come() -> None:
    async def silent() -> AsyncIterator[int]:
        await asyncio.sleep(60)
        yield 1

    end = asyncio.Event()
    asyncio.get_running_loop().call_later(0.05, end.set)

    async with asyncio.timeout(5):
        assert [number async for number in until(silent(), end)] == []
