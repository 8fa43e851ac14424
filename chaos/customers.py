"""Customers who go on through every fault, and what must have become of their packages in the end."""

import math
import time

from holdfast.delivery.v1 import package_pb2 as pb

from chaos.campaign import Trial
from chaos.packages import STUCK_SECONDS, require_settled
from tests.support.town import Town, ids

CUSTOMERS = 6
UNITS = 1_000_000
LOOK_SECONDS = 1.0
"""How often one who waits for goods looks whether the faults are over."""


class Customers:
    """They order, have it packed, and either get it or cancel; what they are not told for certain they ask again."""

    def __init__(self, trial: Trial, town: Town) -> None:
        self._trial = trial
        self._town = town
        self._sku = ""
        self._delivered: list[str] = []
        self._cancelled: list[str] = []

    async def open(self) -> None:
        """Puts goods on the shelf, before anything fails."""
        await self._town.found()
        self._sku = await self._town.stock(UNITS)

    async def go_on(self) -> None:
        """Package after package, while there is more to be tried."""
        town, chosen = self._town, self._trial.random
        while self._trial.more:
            order_id = await town.insist(town.order, {self._sku: 1}, str(next(ids)))
            request = town.package_request(pb.WORKFLOW_MERCHANT_TO_USER, order_id)
            package = await town.insist(town.create, request)
            if chosen.random() < 0.25:
                await town.insist(town.cancel, package.package_sn)
                self._cancelled.append(package.package_sn)
            else:
                await self._wait_for_goods(package.package_sn)
                await town.drive(package)
                self._delivered.append(package.package_sn)

    async def _wait_for_goods(self, package_sn: str) -> None:
        """While one fault follows the other, for as long as that takes; then for STUCK_SECONDS at most."""
        until = math.inf
        while True:
            if not self._trial.more:
                until = min(until, time.monotonic() + STUCK_SECONDS)
            try:
                await self._town.stock_state(package_sn, pb.STOCK_STATE_HELD, seconds=LOOK_SECONDS)
                return
            except AssertionError:
                if time.monotonic() > until:
                    raise

    async def seconds_until_served(self) -> float:
        """How long it takes until both services answer for certain, delivery with something that it wrote."""
        began = time.monotonic()
        await self._town.insist(self._town.order, {self._sku: 1}, str(next(ids)))
        await self._town.insist(self._town.levels, self._sku)
        return time.monotonic() - began

    async def check(self) -> None:
        """What was delivered is sold, what was cancelled is given back, nothing else is held."""
        trial = self._trial
        trial.contention.update(
            {
                "calls repeated": self._town.repeated,
                "packages delivered": len(self._delivered),
                "packages cancelled": len(self._cancelled),
            }
        )
        sold = dict.fromkeys(self._delivered, pb.STOCK_STATE_COMMITTED)
        given_back = dict.fromkeys(self._cancelled, pb.STOCK_STATE_RELEASED)
        await require_settled(trial, self._town, sold | given_back)
        left = await self._town.levels(self._sku)
        trial.require(
            left == (UNITS - len(sold), 0), f"{len(sold)} units were delivered, the stock says {left}"
        )
        trial.violations.extend(await self._town.findings())
