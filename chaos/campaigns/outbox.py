"""16 writers and 4 relays, a link that loses some commands and some answers, and packages whose commands are poison."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

import grpc
from holdfast.delivery.v1 import package_pb2 as pb
from holdfast.ops.v1 import ops_pb2, ops_pb2_grpc
from sqlalchemy import select
from sqlalchemy.ext.asyncio import create_async_engine

from chaos.campaign import Campaign, Trial, percentile, together
from chaos.go_between import GoBetween
from chaos.packages import STUCK_SECONDS
from delivery_service.persistence.outbox import DONE, PARKED
from delivery_service.persistence.tables import outbox
from tests.support.databases import fresh_database
from tests.support.services import Pair, migrate
from tests.support.town import Town, ids

WRITERS, RELAYS = 16, 4
LOSING = 0.05
POISON_EVERY = 100
RETRIES = 2
UNITS = 1_000_000
MOST_DELAY_SECONDS = 2.0
"""What the 99th percentile of a command may take from its commit to its end."""
LEAST_DELAYS = 1_000
"""Of fewer commands the 99th percentile is one or two of them."""


@dataclass(frozen=True)
class _Entry:
    """One row of the outbox."""

    package_sn: str
    place: int
    command: str
    state: int
    create_time: datetime
    done_time: datetime | None


async def run(trial: Trial) -> None:
    """Packages with two to six commands each; then what was parked is put back, and ends too."""
    async with _town(trial) as (town, between):
        writers = _Writers(trial, town, between)
        await writers.open()
        await together(*(writers.write() for _ in range(WRITERS)))
        entries = await _settled(town, between.poisoned)
        _check(trial, entries, between, writers.commands)
        await writers.check(healed=False)
        between.poisoned.clear()
        await _put_back(town)
        for entry in await _settled(town, set()):
            trial.require(
                entry.state == DONE, f"{entry.package_sn}: command {entry.place} was put back and stays"
            )
        await writers.check(healed=True)
        trial.violations.extend(between.overtaking)
        trial.violations.extend(await town.findings())
        trial.faults.update(between.lost)
        trial.contention["commands sent by the least busy relay"] = (
            min(between.of_relay.values()) if len(between.of_relay) >= RELAYS else 0
        )


@asynccontextmanager
async def _town(trial: Trial) -> AsyncIterator[tuple[Town, GoBetween]]:
    """Inventory, whoever stands before it, and as many servers of delivery as there are relays: each has one."""
    async with (
        fresh_database("postgres") as inventory_url,
        fresh_database(trial.engine) as delivery_url,
    ):
        await asyncio.gather(migrate("inventory", inventory_url), migrate("delivery", delivery_url))
        pair = Pair(inventory_url, delivery_url, trial.folder)
        server = grpc.aio.server()
        async with pair.channel(pair.inventory) as inventory:
            between = GoBetween(inventory, trial.random, losing=LOSING)
            server.add_generic_rpc_handlers((between,))
            address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
            await server.start()
            pair.delivery.environment["DELIVERY_INVENTORY_ADDRESS"] = address
            others = [pair.another_delivery(address) for _ in range(RELAYS - 1)]
            try:
                await pair.start()
                await asyncio.gather(*(process.start() for process in others))
                town = Town(pair, *others)
                yield town, between
                await town.close()
            finally:
                await pair.kill()
                await server.stop(None)


class _Writers:
    """They make packages, and see each one's commands end before they ask for the next."""

    def __init__(self, trial: Trial, town: Town, between: GoBetween) -> None:
        self.commands: dict[str, list[str]] = {}
        """By package, what its outbox should hold, in order."""
        self._trial = trial
        self._town = town
        self._between = between
        self._numbers = itertools.count()
        self._sold = 0

    async def open(self) -> None:
        """Much of one thing, nothing of another."""
        await self._town.found()
        self._sku, self._sold_out = await self._town.stock(UNITS), await self._town.stock(0)

    async def write(self) -> None:
        """Package after package."""
        while self._trial.more:
            number, chosen = next(self._numbers), self._trial.random.random()
            poison = number % POISON_EVERY == 0
            try:
                if number % (2 * POISON_EVERY) == 0 or (not poison and chosen < 0.3):
                    package_sn = await self._try_again(poison)
                elif poison or chosen < 0.8:
                    package_sn = await self._cancel(poison)
                else:
                    package_sn = await self._deliver()
            except AssertionError as stuck:
                self._trial.violations.append(str(stuck))
            else:
                self._trial.attempted(len(self.commands[package_sn]))

    async def check(self, *, healed: bool) -> None:
        """What the stock says; until the poison is gone, what it should give back stays held."""
        held = (
            0
            if healed
            # Of a package that got stuck nothing is written down.
            else sum(self.commands.get(sn) == ["RESERVE", "RELEASE"] for sn in self._between.poisoned)
        )
        levels = await self._town.insist(self._town.levels, self._sku)
        wanted = UNITS - self._sold, held
        self._trial.require(levels == wanted, f"the stock should be {wanted}, and is {levels}")

    async def _deliver(self) -> str:
        package = await self._held(poison=False)
        await self._town.drive(package, until="DeliverPackage")
        self._sold += 1
        self.commands[package.package_sn] = ["RESERVE", "COMMIT"]
        await self._town.stock_state(package.package_sn, pb.STOCK_STATE_COMMITTED)
        return package.package_sn

    async def _cancel(self, poison: bool) -> str:
        package_sn = (await self._held(poison)).package_sn
        await self._town.insist(self._town.cancel, package_sn)
        self.commands[package_sn] = ["RESERVE", "RELEASE"]
        if not poison:
            await self._town.stock_state(package_sn, pb.STOCK_STATE_RELEASED)
        return package_sn

    async def _held(self, poison: bool) -> pb.Package:
        package_sn = await self._make(self._sku, poison)
        return await self._town.stock_state(package_sn, pb.STOCK_STATE_HELD)

    async def _try_again(self, poison: bool) -> str:
        """Each refused reserve is followed by a release; one that is poison keeps the next reserve waiting."""
        package_sn = await self._make(self._sold_out, poison)
        await self._town.stock_state(package_sn, pb.STOCK_STATE_REJECTED)
        for attempt in range(RETRIES):
            await self._town.insist(self._retry, package_sn, attempt)
            if poison:
                self.commands[package_sn] = ["RESERVE", "RELEASE", "RESERVE"]
                return package_sn
            await self._town.stock_state(package_sn, pb.STOCK_STATE_REJECTED)
        self.commands[package_sn] = ["RESERVE", "RELEASE"] * (1 + RETRIES)
        return package_sn

    async def _make(self, sku: str, poison: bool) -> str:
        town = self._town
        order_id = await town.insist(town.order, {sku: 1}, str(next(ids)))
        wish = town.package_request(pb.WORKFLOW_MERCHANT_TO_USER, order_id)
        if poison:
            self._between.poisoned.add(wish.package_sn)
            self._trial.contention["packages with poison"] += 1
        await town.insist(town.create, wish)
        return wish.package_sn

    async def _retry(self, package_sn: str, attempt: int) -> None:
        request = pb.RetryReservationRequest(package_sn=package_sn, request_id=f"{package_sn}:{attempt}")
        merchant = self._town.parties.metadata("merchant")
        await self._town.delivery.RetryReservation(request, metadata=merchant, timeout=10)


def _check(
    trial: Trial, entries: Sequence[_Entry], between: GoBetween, commands: dict[str, list[str]]
) -> None:
    """Everything that was asked for is there, in order, and done but for the poison and what waits behind it."""
    found: dict[str, list[_Entry]] = {}
    for entry in entries:
        found.setdefault(entry.package_sn, []).append(entry)
    for package_sn, wanted in commands.items():
        mine = found.get(package_sn, [])
        held = [(entry.place, entry.command) for entry in mine]
        trial.require(
            held == list(enumerate(wanted)),
            f"{package_sn}: {wanted} were asked for, the outbox has {held}",
        )
        poison = package_sn in between.poisoned
        parked = [entry.place for entry in mine if entry.state == PARKED]
        trial.require(parked == ([1] if poison else []), f"{package_sn}: parked {parked}, poison: {poison}")
        done = {entry.place for entry in mine if entry.state == DONE}
        told = between.ended.get(package_sn, set())
        trial.require(done == told, f"{package_sn}: {done} are done, inventory answered {told}")
        trial.contention["commands parked"] += len(parked)
    delays = [
        (entry.done_time - entry.create_time).total_seconds()
        for entry in entries
        if entry.done_time is not None and entry.package_sn not in between.poisoned
    ]
    late = percentile(delays, 0.99)
    trial.contention["milliseconds of a command, 99th percentile"] = round(1000 * late)
    few = len(delays) < LEAST_DELAYS
    trial.require(few or late < MOST_DELAY_SECONDS, f"a command took {late:.1f} s at the 99th percentile")


async def _settled(town: Town, poisoned: set[str]) -> list[_Entry]:
    """The outbox once nothing of it can go on, or a minute later; by package, oldest first."""
    engine = create_async_engine(town.pair.delivery_url)
    until = time.monotonic() + STUCK_SECONDS
    rows = select(outbox).order_by(outbox.c.package_sn, outbox.c.package_version)
    try:
        while True:
            async with engine.connect() as connection:
                found = (await connection.execute(rows)).all()
            going_on = [row for row in found if row.state != DONE and row.package_sn not in poisoned]
            waiting = [row for row in found if row.package_sn in poisoned and row.package_version <= 2]
            unparked = [row for row in waiting if row.state not in (DONE, PARKED)]
            if not (going_on or unparked) or time.monotonic() > until:
                break
            await asyncio.sleep(0.1)
    finally:
        await engine.dispose()
    return [
        _Entry(
            row.package_sn, row.package_version - 1, row.command, row.state, row.create_time, row.done_time
        )
        for row in found
    ]


async def _put_back(town: Town) -> None:
    """As an operator does with what is parked."""
    stub = ops_pb2_grpc.OpsServiceStub(town.delivery_channel)
    dispatcher = town.parties.metadata("dispatcher")
    request = ops_pb2.ListOutboxRequest(state=ops_pb2.OUTBOX_STATE_PARKED, page_size=1000)
    async with asyncio.timeout(STUCK_SECONDS):
        while entries := (await stub.ListOutbox(request, metadata=dispatcher, timeout=30)).entries:
            for entry in entries:
                requeue = ops_pb2.RequeueOutboxRequest(entry_id=entry.entry_id, note="the poison is gone")
                await stub.RequeueOutbox(requeue, metadata=dispatcher, timeout=30)


CAMPAIGN = Campaign(
    number=7,
    title=f"The outbox: {WRITERS} writers, {RELAYS} relays, lost commands and answers, poison",
    promises=(4, 5, 13),
    attempt="commands",
    short=5_000,
    long=100_000,
    run=run,
    contention=("commands parked", "packages with poison", "commands sent by the least busy relay"),
    engines=("mysql", "mariadb"),
)
