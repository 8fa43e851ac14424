import asyncio
import time
from itertools import pairwise

import pytest
from structlog.testing import capture_logs

from servicekit.polling import Poller
from tests.servicekit.waiting import until


async def running(poller: Poller) -> asyncio.Task[None]:
    task = asyncio.create_task(poller.run())
    await asyncio.sleep(0)
    return task


async def test_a_step_is_repeated_at_once_while_there_is_more() -> None:
    left = 5

    async def step() -> bool:
        nonlocal left
        left -= 1
        return left > 0

    poller = Poller("work", step, idle_seconds=60)
    task = await running(poller)
    await until(lambda: left == 0, seconds=1)
    await asyncio.sleep(0.05)
    assert left == 0

    poller.stop()
    await asyncio.wait_for(task, 1)


async def test_an_idle_poller_looks_again_without_being_told() -> None:
    looks = 0

    async def step() -> bool:
        nonlocal looks
        looks += 1
        return False

    poller = Poller("work", step, idle_seconds=0.01)
    task = await running(poller)
    await until(lambda: looks >= 3, seconds=1)
    poller.stop()
    await asyncio.wait_for(task, 1)


async def test_a_nudge_wakes_an_idle_poller_even_when_it_comes_in_the_middle_of_a_step() -> None:
    looks = 0
    in_step, go_on = asyncio.Event(), asyncio.Event()

    async def step() -> bool:
        nonlocal looks
        looks += 1
        in_step.set()
        await go_on.wait()
        return False

    poller = Poller("work", step, idle_seconds=60)
    task = await running(poller)
    await in_step.wait()
    poller.nudge()
    go_on.set()
    await until(lambda: looks == 2, seconds=1)

    poller.nudge()
    await until(lambda: looks == 3, seconds=1)
    poller.stop()
    await asyncio.wait_for(task, 1)


async def test_stopping_lets_the_step_under_way_end_and_begins_no_other() -> None:
    began, ended = asyncio.Event(), asyncio.Event()
    looks = 0

    async def step() -> bool:
        nonlocal looks
        looks += 1
        began.set()
        await asyncio.sleep(0.05)
        ended.set()
        return True

    poller = Poller("work", step, idle_seconds=0.01)
    task = await running(poller)
    await began.wait()
    poller.stop()
    await asyncio.wait_for(task, 1)

    assert ended.is_set()
    assert looks == 1


async def test_a_failing_step_is_logged_and_tried_again_after_longer_and_longer_pauses() -> None:
    times: list[float] = []

    async def step() -> bool:
        times.append(time.monotonic())
        if len(times) <= 2:
            raise ConnectionError("database is away")
        return False

    poller = Poller("relay", step, idle_seconds=0.02)
    with capture_logs() as logs:
        task = await running(poller)
        await until(lambda: len(times) == 3)
        poller.stop()
        await asyncio.wait_for(task, 1)

    pauses = [after - before for before, after in pairwise(times)]
    assert pauses[1] > 1.2 * pauses[0]
    assert [entry["failures"] for entry in logs] == [1, 2]
    assert {entry["poller"] for entry in logs} == {"relay"}


async def test_a_poller_outlives_any_number_of_failures() -> None:
    failures = 0

    async def step() -> bool:
        nonlocal failures
        failures += 1
        if failures == 2000:
            poller.stop()
        poller.nudge()
        raise ConnectionError("database is away")

    poller = Poller("relay", step, idle_seconds=0.2)
    with capture_logs():
        await asyncio.wait_for(poller.run(), 10)

    assert failures == 2000


async def test_a_cancellation_that_nobody_asked_for_is_a_failure_like_any_other() -> None:
    steps = 0

    async def step() -> bool:
        nonlocal steps
        steps += 1
        if steps == 1:
            raise asyncio.CancelledError("of a driver's own making")
        return False

    poller = Poller("relay", step, idle_seconds=60)
    with capture_logs() as logs:
        task = await running(poller)
        await until(lambda: steps == 2)
        poller.stop()
        await asyncio.wait_for(task, 1)

    assert poller.failed == 1
    assert [entry["event"] for entry in logs] == ["step failed"]


async def test_a_poller_that_is_cancelled_in_the_middle_of_a_step_ends_whatever_the_step_makes_of_it() -> (
    None
):
    began = asyncio.Event()

    async def step() -> bool:
        began.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            raise ConnectionError("cut") from None
        return False

    task = await running(Poller("relay", step, idle_seconds=60))
    await began.wait()
    task.cancel()

    with pytest.raises(ConnectionError):
        await asyncio.wait_for(task, 1)


async def test_a_cancelled_poller_ends() -> None:
    async def step() -> bool:
        return False

    task = await running(Poller("work", step, idle_seconds=60))
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
