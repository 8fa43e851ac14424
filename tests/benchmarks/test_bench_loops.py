"""Callers that wait for each other's answers, and callers that do not."""

import asyncio
from typing import Any, cast

import pytest

from benchmarks.bench.inventory_sides import Sides
from benchmarks.bench.latency_panel import arrivals, arriving_side
from benchmarks.bench.loops import arriving, closed
from benchmarks.bench.results import Load
from benchmarks.bench.row import PYTHON, Row
from benchmarks.bench.sides import Settle, Side


class Recording:
    """Sides that call nobody and remember the seeds they were given."""

    servers = databases = ()

    def __init__(self) -> None:
        self.seeds: list[str] = []

    def calling(self, row: Row, kind: str, settle: Settle, **wish: Any) -> Side:
        async def operate(seconds: float) -> Load:
            self.seeds.append(wish["seed"])
            return Load(1, seconds, 0.0)

        return Side(operate, settle, (), ())


async def nothing(_: Load) -> None:
    pass


async def test_callers_that_wait_have_no_more_in_flight_than_they_are_and_finish_what_they_began() -> None:
    in_flight: list[int] = [0]
    most = finished = 0

    async def step(_: int) -> int:
        nonlocal most, finished
        in_flight[0] += 1
        most = max(most, in_flight[0])
        await asyncio.sleep(0.01)
        in_flight[0] -= 1
        finished += 1
        return 1

    load = await closed(step, 4, 0.1)

    assert most == 4
    assert in_flight[0] == 0
    assert load.operations == finished
    assert load.p50 is not None and load.p50 >= 10


async def test_operations_of_a_step_are_counted_and_its_wait_is_no_wait_of_one() -> None:
    async def step(_: int) -> int:
        await asyncio.sleep(0.01)
        return 256

    load = await closed(step, 2, 0.05)

    assert load.operations % 256 == 0 and load.operations >= 512
    assert load.p50 is None


async def test_callers_end_before_their_time_where_nothing_is_left_to_do() -> None:
    left = iter(range(5))

    async def step(_: int) -> int:
        await asyncio.sleep(0)
        return 0 if next(left, None) is None else 1

    load = await asyncio.wait_for(closed(step, 2, 60), 5)

    assert load.operations == 5


def test_no_more_arrive_than_the_client_in_python_can_call_for() -> None:
    assert arrivals(0.25, peak=4000, own=2000) == 1000
    assert arrivals(0.8, peak=4000, own=2000) == 1800
    assert arrivals(0.8, peak=2000, own=2000) == 1600


async def test_each_turn_of_arrivals_has_a_seed_of_its_own_and_every_run_of_one_seed_the_same() -> None:
    row = Row("latency-50", "", PYTHON)

    async def seeds(seed: int) -> list[str]:
        sides = Recording()
        side = arriving_side(row, 10.0, cast(Sides, sides), nothing, seed)
        for _ in range(3):
            await side.operate(1.0)
        return sides.seeds

    assert len(set(await seeds(1))) == 3
    assert await seeds(1) == await seeds(1)
    assert not set(await seeds(1)) & set(await seeds(2))


async def test_arrivals_go_on_while_nobody_is_answered_and_their_waits_count_from_when_they_were_due() -> (
    None
):
    answering = asyncio.Event()
    arrived = 0

    async def step(_: int) -> int:
        nonlocal arrived
        arrived += 1
        await answering.wait()
        return 1

    running = asyncio.create_task(arriving(step, 200, 0.5, seed=1))
    await asyncio.sleep(1)
    waiting = arrived
    answering.set()
    load = await running

    assert load.operations == waiting == pytest.approx(100, abs=40)
    # The first came at the beginning and the last half a second later; all were answered after a second.
    assert load.p50 is not None and load.p50 > 500
    assert load.p99 is not None and load.p99 >= 900


async def test_a_call_that_fails_fails_the_turn() -> None:
    async def step(_: int) -> int:
        raise RuntimeError("refused")

    with pytest.raises(RuntimeError):
        await closed(step, 2, 0.1)
    with pytest.raises(RuntimeError):
        await arriving(step, 100, 0.1, seed=1)
