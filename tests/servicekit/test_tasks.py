import asyncio
import gc
from contextlib import suppress
from contextvars import ContextVar
from typing import Any

import pytest

from servicekit import tasks as tasks_module
from servicekit.tasks import Tasks

caller: ContextVar[str] = ContextVar("caller")


async def test_work_answers_its_caller() -> None:
    async def work() -> str:
        return "done"

    tasks = Tasks()

    assert await tasks.run(work()) == "done"
    await asyncio.sleep(0)
    assert len(tasks) == 0


async def test_work_goes_on_when_its_caller_is_cancelled() -> None:
    tasks = Tasks()
    done = asyncio.Event()

    async def work() -> None:
        await asyncio.sleep(0.05)
        done.set()

    caller = asyncio.create_task(tasks.run(work()))
    await asyncio.sleep(0.01)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert len(tasks) == 1
    assert not done.is_set()

    assert await tasks.drain(1)

    assert done.is_set()
    assert len(tasks) == 0


async def test_work_for_nobody_knows_nothing_of_the_call_that_began_it_and_is_waited_for() -> None:
    tasks = Tasks()
    seen: list[str] = []

    async def work() -> None:
        await asyncio.sleep(0.01)
        seen.append(caller.get("nobody"))

    caller.set("a caller")
    tasks.start(work())

    assert await tasks.drain(1)
    assert seen == ["nobody"]


async def test_work_that_does_not_end_in_time_is_cancelled_and_said_so() -> None:
    tasks = Tasks()
    ended = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    caller = asyncio.create_task(tasks.run(work()))
    await asyncio.sleep(0.01)

    assert not await tasks.drain(0.05)

    assert ended.is_set()
    assert len(tasks) == 0
    with pytest.raises(asyncio.CancelledError):
        await caller


async def test_work_that_does_not_end_when_it_is_cancelled_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tasks_module, "MOST_CANCELLED_SECONDS", 0.1)
    tasks = Tasks()
    over = asyncio.Event()

    async def deaf() -> None:
        while not over.is_set():
            with suppress(asyncio.CancelledError):
                await over.wait()

    tasks.start(deaf())
    asyncio.get_running_loop().call_later(5, over.set)

    assert not await asyncio.wait_for(tasks.drain(0.05), 2)

    over.set()
    assert await tasks.drain(1)


async def test_draining_nothing_is_done_at_once() -> None:
    assert await asyncio.wait_for(Tasks().drain(60), 1)


async def test_a_failure_that_nobody_waits_for_makes_no_noise() -> None:
    loop = asyncio.get_running_loop()
    noise: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: noise.append(context))
    try:
        tasks = Tasks()

        async def work() -> None:
            await asyncio.sleep(0.02)
            raise ArithmeticError

        caller = asyncio.create_task(tasks.run(work()))
        await asyncio.sleep(0.01)
        caller.cancel()
        await asyncio.gather(caller, return_exceptions=True)
        assert await tasks.drain(1)
        await asyncio.sleep(0)
        del caller
        gc.collect()
        await asyncio.sleep(0)
    finally:
        loop.set_exception_handler(None)

    assert noise == []


async def test_a_failure_reaches_the_caller_that_waits() -> None:
    async def work() -> None:
        raise ArithmeticError

    with pytest.raises(ArithmeticError):
        await Tasks().run(work())


async def test_work_that_begins_other_work_while_it_is_waited_for_is_not_left_behind() -> None:
    tasks = Tasks()
    done: list[str] = []

    async def last() -> None:
        await asyncio.sleep(0.05)
        done.append("last")

    async def first() -> None:
        await asyncio.sleep(0.05)
        tasks.start(last())
        done.append("first")

    tasks.start(first())

    assert await tasks.drain(5)
    assert done == ["first", "last"]


async def test_work_without_end_is_cancelled_when_the_time_is_over_with_all_that_it_began() -> None:
    tasks = Tasks()

    async def again() -> None:
        await asyncio.sleep(0.02)
        tasks.start(again())

    tasks.start(again())

    assert not await asyncio.wait_for(tasks.drain(0.1), 5)
    assert len(tasks) == 0
