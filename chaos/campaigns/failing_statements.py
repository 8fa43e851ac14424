"""Every call that changes something, with an error or a lost connection at each of its statements in turn."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager

import grpc

from chaos.calls.call import Call
from chaos.calls.every import calls_to
from chaos.campaign import NOTHING_TRIED, Campaign, Trial
from chaos.statements import Fault, Statements, statements_to
from tests.support.databases import fresh_database
from tests.support.services import Pair, migrate
from tests.support.town import UNKNOWN_OUTCOMES, Town, ids

TOLD = {
    Fault.DEADLOCK: {"OK"},
    Fault.OVERTAKEN: {"OK"},
    Fault.LOCK_WAIT: {"OK"},
    Fault.LOST_BEFORE: {"OK", "UNAVAILABLE"},
    Fault.LOST_AFTER: {"OK", "UNAVAILABLE"},
}
"""What a caller may be told: it is done, or it is not known whether it is."""
MOST_STATEMENTS = 200
SETTLED_SECONDS = 30.0
ENGINES = ("postgres", "mysql", "mariadb")
ROUND = len(Fault) * max(len(calls_to(engine)) for engine in ENGINES)


async def run(trial: Trial) -> None:
    """Round after round of all calls and faults, in an order that the seed says; then the books of both services.

    Each begins with empty databases: what looks through all of them has more statements the more there is.
    """
    ways = list(itertools.product(calls_to(trial.engine), Fault))
    while trial.more:
        trial.random.shuffle(ways)
        async with _scene(trial) as (town, statements):
            await _round(trial, town, statements, ways)
            trial.violations.extend(await town.findings())


async def _round(
    trial: Trial, town: Town, statements: Statements, ways: Sequence[tuple[Call, Fault]]
) -> None:
    undisturbed: dict[Call, str] = {}
    for call, fault in ways:
        if not trial.more:
            return
        sweep = _Sweep(trial, town, statements, call, fault)
        if call not in undisturbed:
            undisturbed[call] = await sweep.undisturbed()
        await sweep.run(undisturbed[call])
        trial.attempted()


class _Sweep:
    """One call under one fault: made again and again, each time with the fault one statement later."""

    def __init__(self, trial: Trial, town: Town, statements: Statements, call: Call, fault: Fault) -> None:
        self._trial = trial
        self._town = town
        self._statements = statements
        self._call = call
        self._fault = fault

    async def run(self, wanted: str) -> None:
        """Until it is over before the fault has come; each time `wanted` must be left."""
        known = len(self._trial.violations)
        for nth in range(1, MOST_STATEMENTS):
            if not await self._failing(nth, wanted):
                met = f"{NOTHING_TRIED}: {self._call.method}, {self._fault.value}: no statement"
                self._trial.require(nth > 1, met)
                return
            if len(self._trial.violations) > known:
                return
        self._trial.violations.append(f"{self._call.method} has no end of statements")

    async def undisturbed(self) -> str:
        """What the call leaves without a fault. Raises AssertionError where that is what was there before."""
        name = await self._arranged()
        before = await self._town.insist(self._call.state, self._town, name)
        await self._call.ask(self._town, name)
        left = await self._settled(name, "")
        assert left != before, f"nothing is seen of {self._call.method}"
        return left

    async def _failing(self, nth: int, wanted: str) -> bool:
        """Whether so many statements came until its answer, of the call or of the workers beside it."""
        call, town, name = self._call, self._town, await self._arranged()
        self._statements.fail(nth, self._fault)
        told = await _outcome(call.ask(town, name))
        failed = self._statements.relent()
        what = f"{call.method}, {self._fault.value} {nth} ({failed[:60]})"
        self._trial.require(told in TOLD[self._fault], f"{what}: the caller is told {told}")
        if told == "OK":
            left = await self._settled(name, wanted)
            self._trial.require(left == wanted, f"{what}: done, and left {left}, not {wanted}")
        again = await _outcome(town.insist(call.ask, town, name))
        self._trial.require(again == "OK", f"{what}: asked again, the caller is told {again}")
        left = await self._settled(name, wanted)
        self._trial.require(left == wanted, f"{what}: asked again, and left {left}, not {wanted}")
        if failed:
            self._trial.faults[self._fault.value] += 1
            self._trial.contention[f"told {told}"] += 1
        return bool(failed)

    async def _arranged(self) -> str:
        """The name of something that is ready for the call: the first that nothing disturbs."""
        async with asyncio.timeout(SETTLED_SECONDS):
            while True:
                name = str(next(ids))
                try:
                    await self._call.arrange(self._town, name)
                except grpc.aio.AioRpcError as error:
                    if error.code() not in UNKNOWN_OUTCOMES:
                        raise
                    await asyncio.sleep(0.1)
                else:
                    return name

    async def _settled(self, name: str, wanted: str) -> str:
        """What is left once it is as wanted, or in the end; of the undisturbed call, once it changes no more."""
        until = time.monotonic() + SETTLED_SECONDS
        left = await self._town.insist(self._call.state, self._town, name)
        while left != wanted and time.monotonic() < until:
            await asyncio.sleep(0.05 if wanted else 1.5)
            earlier, left = left, await self._town.insist(self._call.state, self._town, name)
            if not wanted and left == earlier:
                break
        return left


async def _outcome(call: Awaitable[object]) -> str:
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return error.code().name
    return "OK"


@asynccontextmanager
async def _scene(trial: Trial) -> AsyncIterator[tuple[Town, Statements]]:
    """Both services; the statements are those of delivery, or of inventory where that is what is tried."""
    engine = "mysql" if trial.engine == "postgres" else trial.engine
    async with (
        fresh_database("postgres") as inventory_url,
        fresh_database(engine) as delivery_url,
        statements_to(inventory_url if trial.engine == "postgres" else delivery_url, trial.engine) as (
            through_url,
            statements,
        ),
    ):
        await asyncio.gather(migrate("inventory", inventory_url), migrate("delivery", delivery_url))
        urls = (through_url, delivery_url) if trial.engine == "postgres" else (inventory_url, through_url)
        pair = Pair(*urls, trial.folder)
        town = Town(pair)
        try:
            await pair.start()
            await town.found()
            yield town, statements
        finally:
            await town.close()
            await pair.kill()


CAMPAIGN = Campaign(
    number=14,
    title="An error, or a lost connection, at every statement of every call",
    promises=(3, 4, 5, 9, 10),
    attempt="calls under a fault at each statement",
    short=ROUND,
    long=5 * ROUND,
    run=run,
    contention=("told OK",),
    engines=ENGINES,
)
