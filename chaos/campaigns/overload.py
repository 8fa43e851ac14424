"""Five times as many calls as a server can do: it goes on doing what it can, and says no to the rest at once.

What bounds the server here is a database that takes its time over every change, not the processor: a call that is
refused costs a Python server about as much of that as an empty one, and what it spends on saying no it does not have
for work. The crowd is a process of its own. Its refusals are timed by a few calls of this one, which has nothing else
to do: the queues of the crowd's own event loop are not in them, what the machine lets this process wait is.
"""

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import grpc
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from chaos.campaign import Campaign, Trial, percentile
from chaos.crowd import CALL_SECONDS, Outcome, Stub, addition, crowd, sku
from chaos.packages import STUCK_SECONDS
from chaos.scene import Inventories, inventories
from tests.support.town import SYSTEM

STOCKS = 64
TIMES = 5
CALLERS = 64
PEAK_SECONDS = 6.0
FIRST_SECONDS = 2.0
"""Of each load, not counted: it begins, and the queue fills."""
TIMED_SECONDS = 20
"""A shorter run says nothing of how fast and how much: whatever else the machine does in one of them is too much."""
LEAST_SHARE = 0.8
MOST_REFUSING_SECONDS = 0.05
PROBING = 0.25
"""Calls of the probe beside those that the server can do: what follows the overload must not be one."""
LOOK_SECONDS = 0.02
USUAL_SECONDS = 0.5
"""An answer within this time is one of a server that has recovered."""
_REFUSED = {"RESOURCE_EXHAUSTED", "ABORTED"}
"""At once, or where the wait turned out to be too long: nothing was done."""
_SLOW = (
    """
    CREATE FUNCTION public.take_time() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN PERFORM pg_sleep(0.1); RETURN NULL; END $$
    """,
    "CREATE TRIGGER take_time AFTER UPDATE ON inventory.stock FOR EACH ROW EXECUTE FUNCTION public.take_time()",
)


async def run(trial: Trial) -> None:
    """The peak, then the overload for so many seconds, then calm."""
    async with inventories(1, trial.folder) as scene:
        for number in range(STOCKS):
            await scene.stock(sku(number), 0)
        await _slow_down(scene.url)
        address = scene.servers[0].address
        calm = await crowd(address, STOCKS, PEAK_SECONDS, "peak", callers=CALLERS)
        peak = calm.done(FIRST_SECONDS, PEAK_SECONDS)
        seconds = FIRST_SECONDS + max(1.0, min(trial.size, trial.until - time.monotonic()))
        probe = _Probe(scene.stubs[0], PROBING * peak)
        probing = asyncio.create_task(probe.go_on())
        storming = asyncio.create_task(crowd(address, STOCKS, seconds, "storm", rate=TIMES * peak))
        while not storming.done():
            await asyncio.wait([storming], timeout=1.0)
            trial.attempted(trial.attempts < int(seconds - FIRST_SECONDS))
        storm = await storming
        over = storm.began + seconds
        while (recovery := probe.seconds_to_recover(over)) is None:
            if time.monotonic() > over + STUCK_SECONDS:
                recovery = STUCK_SECONDS
                break
            await asyncio.sleep(LOOK_SECONDS)
        trial.recoveries.append(recovery)
        probe.over = True
        await probing
        for code in {*calm.codes} - {"OK"}:
            trial.violations.append(f"{calm.codes[code]} calls of the peak ended with {code}")
        judge(trial, peak, storm, seconds, probe.codes, probe.refused)
        await _count(trial, scene, (calm.codes, storm.codes, probe.codes))


@dataclass(frozen=True)
class Answer:
    """When a call began, by the monotonic clock, and how long it took."""

    began: float
    seconds: float


def judge(
    trial: Trial,
    peak: float,
    storm: Outcome,
    seconds: float,
    told: Mapping[str, int],
    refused: Sequence[Answer],
) -> None:
    """An overload of so many seconds; by code and by refusal, what the probe was told meanwhile."""
    offered, done = storm.asked / seconds, storm.done(FIRST_SECONDS, seconds)
    from_, until = storm.began + FIRST_SECONDS, storm.began + seconds
    refusing = [each.seconds for each in refused if from_ <= each.began < until]
    late = percentile(refusing, 0.99)
    trial.contention.update(
        {
            "calls a second at the peak": round(peak),
            "calls a second in the overload": round(offered),
            "of these done": round(done),
            "calls refused": sum(storm.codes.get(code, 0) for code in _REFUSED),
            "refusals timed": len(refusing),
            "milliseconds until a refusal, median": round(1000 * percentile(refusing, 0.5)),
            "milliseconds until a refusal, 99th percentile": round(1000 * late),
        }
    )
    timed = seconds - FIRST_SECONDS >= TIMED_SECONDS
    trial.require(
        not timed or offered >= 0.9 * TIMES * peak,
        f"only {offered:.0f} calls a second were made, peak {peak:.0f}",
    )
    trial.require(
        not timed or done >= LEAST_SHARE * peak,
        f"{done:.0f} calls a second were done, {peak:.0f} at the peak",
    )
    trial.require(
        not timed or late <= MOST_REFUSING_SECONDS, f"a refusal took {late:.3f} s at the 99th percentile"
    )
    for code in {*storm.codes, *told} - _REFUSED - {"OK"}:
        trial.violations.append(f"{storm.codes.get(code, 0) + told.get(code, 0)} calls ended with {code}")


async def _count(trial: Trial, scene: Inventories, told: Sequence[Mapping[str, int]]) -> None:
    """What was done is there, and nothing that was refused."""
    done = sum(codes.get("OK", 0) for codes in told)
    refused = sum(codes.get(code, 0) for codes in told for code in _REFUSED)
    unknown = sum(sum(codes.values()) for codes in told) - done - refused
    engine = create_async_engine(scene.url)
    async with engine.connect() as connection:
        there = (await connection.execute(text("SELECT sum(quantity) FROM inventory.stock"))).scalar_one()
    await engine.dispose()
    trial.require(done <= there <= done + unknown, f"{done} additions were done, {there} units are there")
    trial.violations.extend(await scene.findings())


async def _slow_down(url: str) -> None:
    engine = create_async_engine(url)
    async with engine.begin() as connection:
        for statement in _SLOW:
            await connection.execute(text(statement))
    await engine.dispose()


class _Probe:
    """So many calls a second, whatever becomes of the ones before."""

    def __init__(self, stub: Stub, rate: float) -> None:
        self.over = False
        self.codes: Counter[str] = Counter()
        self.done: list[Answer] = []
        self.refused: list[Answer] = []
        self._stub = stub
        self._pause = 1 / max(rate, 1.0)

    async def go_on(self) -> None:
        """Until it is over and everything is answered."""
        async with asyncio.TaskGroup() as calls:
            for number in itertools.count():
                if self.over:
                    return
                calls.create_task(self._ask(number))
                await asyncio.sleep(self._pause)

    def seconds_to_recover(self, after: float) -> float | None:
        """From that moment until the end of the first call begun since that was done in the usual time."""
        usual = (each for each in self.done if each.began >= after and each.seconds <= USUAL_SECONDS)
        first = next(usual, None)
        return None if first is None else first.began + first.seconds - after

    async def _ask(self, number: int) -> None:
        began = time.monotonic()
        request = addition(number % STOCKS, f"probe-{number}")
        try:
            await self._stub.AdjustStock(request, metadata=SYSTEM, timeout=CALL_SECONDS)
        except grpc.aio.AioRpcError as error:
            self.codes[error.code().name] += 1
            if error.code().name in _REFUSED:
                self.refused.append(Answer(began, time.monotonic() - began))
        else:
            self.codes["OK"] += 1
            self.done.append(Answer(began, time.monotonic() - began))


CAMPAIGN = Campaign(
    number=16,
    title=f"Overload: {TIMES} times the peak",
    promises=(9,),
    attempt="seconds of overload",
    short=TIMED_SECONDS,
    long=300,
    run=run,
    contention=("calls refused", "refusals timed"),
    slowest_recovery=5.0,
)
