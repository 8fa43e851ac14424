"""What 8 callers of two servers are told of one stock, some of them while a server is killed, must have one order."""

import asyncio
import math
import time
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import TypeAlias

import grpc
from holdfast.inventory.v1 import inventory_pb2_grpc, movement_pb2, reservation_pb2, stock_pb2

from chaos.campaign import Campaign, Trial, together
from chaos.linearizability import Operation, linearizable
from chaos.scene import Inventories, inventories, one_unit
from tests.support.town import SYSTEM, TO_BE_REPEATED

CALLERS, CALLS = 8, 150
OPENING = (5, 0)
Levels = tuple[int, int]
"""Quantity and reserved quantity: the whole state of a stock that these calls can tell."""
Stub: TypeAlias = "inventory_pb2_grpc.InventoryServiceAsyncStub"
SECONDS = 10
"""How long a call may take. Whoever calls while a server is away waits for it: only what it died with is unknown."""


@dataclass(frozen=True)
class _Moved:
    """So many units came, and so many more are held; no stock holds more than it has."""

    quantity: int = 0
    held: int = 0

    def __call__(self, now: Levels) -> Levels | None:
        quantity, held = now[0] + self.quantity, now[1] + self.held
        return (quantity, held) if 0 <= held <= quantity else None


@dataclass(frozen=True)
class _TooFew:
    """A refusal, which can be told only where fewer than these units are free."""

    units: int

    def __call__(self, now: Levels) -> Levels | None:
        return now if now[0] - now[1] < self.units else None


@dataclass(frozen=True)
class _Read:
    """These are the levels."""

    levels: Levels

    def __call__(self, now: Levels) -> Levels | None:
        return now if now == self.levels else None


async def run(trial: Trial) -> None:
    """A stock a history; every other one has a kill in its midst."""
    async with inventories(2, trial.folder) as scene:
        while trial.more:
            history = _History(trial, scene, f"linear-{trial.attempts}")
            await history.happen(kill=trial.attempts % 2 == 1)
            orderly = linearizable(history.told, OPENING)
            trial.require(orderly, f"{history.sku}: no order explains what was told")
            _plant(trial, history)
            trial.attempted()
        trial.violations.extend(await scene.findings())


def _plant(trial: Trial, history: "_History") -> None:
    """The same history with a last read that is stale must be found, where all outcomes are known."""
    last = history.read[-1]
    stale = next((levels for levels in history.read if levels != last), None)
    if stale is None or not all(operation.certain for operation in history.told):
        return
    end = max(operation.ended for operation in history.told)
    planted = Operation[Levels](end + 1, end + 2, _Read(stale))
    trial.require(
        not linearizable([*history.told, planted], OPENING), f"{history.sku}: a stale read was accepted"
    )
    trial.contention["stale reads planted"] += 1


class _History:
    """The calls about one stock, as their callers saw them."""

    def __init__(self, trial: Trial, scene: Inventories, sku: str) -> None:
        self.sku = sku
        self.told: list[Operation[Levels]] = []
        self.read: list[Levels] = []
        self._trial = trial
        self._scene = scene
        self._held: list[str] = []
        self._calls = 0

    async def happen(self, *, kill: bool) -> None:
        """All callers make their calls; with `kill`, a server dies among them and is started again."""
        await self._scene.stock(self.sku, OPENING[0])
        callers = [self._call_all(number) for number in range(CALLERS)]
        await together(*callers, *([self._kill()] if kill else []))
        await self._read(self._scene.stubs[0])

    async def _kill(self) -> None:
        while self._calls < CALLS // 3:  # noqa: ASYNC110 - the callers go on by themselves
            await asyncio.sleep(0.001)
        victim = self._trial.random.choice(self._scene.servers)
        await victim.kill()
        self._trial.faults["SIGKILL of inventory"] += 1
        await victim.start()

    async def _call_all(self, number: int) -> None:
        stub = self._scene.stubs[number % len(self._scene.stubs)]
        for turn in range(CALLS // CALLERS):
            name = f"{self.sku}-{number}-{turn}"
            self._calls += 1
            chosen = self._trial.random.random()
            if chosen < 0.35:
                await self._reserve(stub, name)
            elif chosen < 0.6 and self._held:
                await self._release(stub, self._held.pop())
            elif chosen < 0.75:
                await self._adjust(stub, name, self._trial.random.choice((-2, -1, 1, 2)))
            else:
                await self._read(stub)

    async def _reserve(self, stub: Stub, name: str) -> None:
        call = stub.ReserveStock(
            one_unit(name, self.sku), metadata=SYSTEM, timeout=SECONDS, wait_for_ready=True
        )
        if await self._tell(call, _Moved(held=1), _TooFew(1)):
            self._held.append(name)

    async def _release(self, stub: Stub, name: str) -> None:
        request = reservation_pb2.ReleaseReservationRequest(reservation_id=name)
        await self._tell(
            stub.ReleaseReservation(request, metadata=SYSTEM, timeout=SECONDS, wait_for_ready=True),
            _Moved(held=-1),
        )

    async def _adjust(self, stub: Stub, name: str, delta: int) -> None:
        request = movement_pb2.AdjustStockRequest(
            sku=self.sku,
            delta=delta,
            reason=movement_pb2.MOVEMENT_REASON_OTHER,
            note="chaos",
            request_id=name,
        )
        call = stub.AdjustStock(request, metadata=SYSTEM, timeout=SECONDS, wait_for_ready=True)
        await self._tell(call, _Moved(quantity=delta), _TooFew(-delta))

    async def _read(self, stub: Stub) -> None:
        request = stock_pb2.GetStockRequest(sku=self.sku)
        began = time.monotonic()
        try:
            stock = (await stub.GetStock(request, timeout=SECONDS, wait_for_ready=True)).stock
        except grpc.aio.AioRpcError as error:
            # Nobody was told anything, and a read changes nothing.
            if error.code() not in TO_BE_REPEATED:
                self._trial.violations.append(f"{self.sku}: {error.code().name} {error.details()}")
            return
        levels = stock.quantity, stock.reserved_quantity
        self.read.append(levels)
        self.told.append(Operation(began, time.monotonic(), _Read(levels)))

    async def _tell(self, call: Awaitable[object], done: _Moved, refused: _TooFew | None = None) -> bool:
        """Remembers what the caller was told, and says whether it was done."""
        began = time.monotonic()
        try:
            await call
        except grpc.aio.AioRpcError as error:
            if error.code() in TO_BE_REPEATED:
                self.told.append(Operation(began, math.inf, done))
                self._trial.contention["outcomes not known"] += 1
            elif error.code() is grpc.StatusCode.FAILED_PRECONDITION and refused is not None:
                self.told.append(Operation(began, time.monotonic(), refused))
            else:
                self._trial.violations.append(f"{self.sku}: {error.code().name} {error.details()}")
            return False
        self.told.append(Operation(began, time.monotonic(), done))
        return True


CAMPAIGN = Campaign(
    number=11,
    title="Linearizability of a stock, every other history with SIGKILL of a server",
    promises=(1, 7),
    attempt="histories",
    short=25,
    long=500,
    run=run,
    contention=("stale reads planted", "outcomes not known"),
)
