"""How callers follow each other: the next when the last was answered, or at a rate whatever the answers do."""

import asyncio
import random
import statistics
import time
from collections.abc import Awaitable, Callable

from benchmarks.bench.results import Load

Step = Callable[[int], Awaitable[int]]
"""What one caller does, given its number; answers how many operations that were, 0 where nothing is left to do."""


async def closed(step: Step, in_flight: int, seconds: float) -> Load:
    """So many callers, each waiting for its answer before it goes on. What they began they bring to its end."""
    waits: list[float] = []
    begin, busy = time.perf_counter(), time.process_time()

    async def go_on(caller: int) -> int:
        done = 0
        while (called := time.perf_counter()) < begin + seconds:
            operations = await step(caller)
            if not operations:
                break
            if operations == 1:  # several are no answer that anybody waits for
                waits.append((time.perf_counter() - called) * 1000)
            done += operations
        return done

    done = sum(await asyncio.gather(*(go_on(caller) for caller in range(in_flight))))
    return _load(done, waits, begin, busy)


async def arriving(step: Step, rate: float, seconds: float, seed: int | str) -> Load:
    """Callers that come at random, so many a second, and do not care how many still wait.

    A wait is counted from when the caller was to come, so a client that is late hides nothing.
    """
    loop = asyncio.get_running_loop()
    dice = random.Random(seed)
    waits: list[float] = []
    calls: list[asyncio.Task[int]] = []
    begin, busy = time.perf_counter(), time.process_time()

    async def call(due: float, number: int) -> int:
        done = await step(number)
        waits.append((time.perf_counter() - due) * 1000)
        return done

    def send_all() -> None:
        # A thread, because the loop's own clock wakes it at whole milliseconds only.
        due, number = begin, 0
        while (due := due + dice.expovariate(rate)) < begin + seconds:
            time.sleep(max(0.0, due - time.perf_counter()))
            loop.call_soon_threadsafe(_begin, calls, call(due, number))
            number += 1

    await asyncio.to_thread(send_all)
    await asyncio.sleep(0)  # what the thread handed over last is begun
    done = sum(await asyncio.gather(*calls))
    return _load(done, waits, begin, busy)


def _begin(calls: "list[asyncio.Task[int]]", call: "Awaitable[int]") -> None:
    calls.append(asyncio.ensure_future(call))


def _load(done: int, waits: list[float], begin: float, busy: float) -> Load:
    seconds, cpu_seconds = time.perf_counter() - begin, time.process_time() - busy
    if len(waits) < 2:
        return Load(done, seconds, cpu_seconds)
    percentiles = statistics.quantiles(waits, n=100, method="inclusive")
    return Load(done, seconds, cpu_seconds, p50=percentiles[49], p99=percentiles[98])
