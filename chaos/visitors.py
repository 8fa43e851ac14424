"""Visitors of both services who leave in the middle of some calls, and what must have become of each wish."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
from google.protobuf.message import Message
from holdfast.delivery.v1 import package_pb2 as pb
from holdfast.inventory.v1 import reservation_pb2

from chaos.campaign import Trial, together
from chaos.packages import STUCK_SECONDS, require_settled
from chaos.scene import one_unit
from servicekit.tasks import being_cancelled
from tests.support.refusals import refusal
from tests.support.town import SYSTEM, TO_BE_REPEATED, Town, ids

UNITS = 1_000_000
CALL_SECONDS = 10.0
LEAST_DEADLINE_SECONDS = 0.05
"""A shorter one is refused before anything is done."""
PAUSE_SECONDS = 0.05
"""Before a call that failed is made again; who left comes again at once."""
READERS = 16
"""Who compare at once."""
LEARNING = 0.05
"""How much one answer says about how long answers take."""

Known = Callable[[], Awaitable[object]]


class Refused(Exception):
    """A wish was refused for certain, for this reason; or nobody answered, for none."""

    def __init__(self, told: str, reason: str = "") -> None:
        super().__init__(told)
        self.reason = reason


class Visitors:
    """They reserve and resolve, pack and cancel. Who left asks again, until each outcome is known."""

    def __init__(
        self, trial: Trial, town: Town, *, leaving: float, asked: Callable[[], None] = lambda: None
    ) -> None:
        """`leaving` is the share of calls whose caller goes before it is answered, or means to; `asked` is told of each
        call that may be left."""
        self.seconds: list[tuple[float, float]] = []
        """Of each call that was done, and whose caller stayed: when it was answered, by the monotonic clock, and how
        long that took. Of a call that had to be made again only the last time is here."""
        self.unanswered = 0
        """Calls whose caller had not left, and that had to be made again all the same."""
        self._trial = trial
        self._town = town
        self._leaving = leaving
        self._asked = asked
        self._typical: dict[str, float] = {}
        self._state: dict[str, reservation_pb2.ReservationState.ValueType] = {}
        self._refused: list[str] = []
        self._packed: list[str] = []
        self._cancelled: list[str] = []

    async def open(self) -> None:
        """Puts goods on the shelves."""
        await self._town.found()
        self._sku, self._packed_sku = await self._town.stock(UNITS), await self._town.stock(UNITS)

    async def visit(self) -> None:
        """One wish and what comes of it."""
        chosen = self._trial.random.random()
        try:
            if chosen < 0.1:
                await self._want_too_much()
            elif chosen < 0.7:
                await self._reserve()
            else:
                await self._pack()
        except Refused as refused:
            self._trial.violations.append(str(refused))

    async def check(self) -> None:
        """Every acknowledged effect is there, once; nothing that was refused is."""
        town, trial = self._town, self._trial
        states = list(self._state.values())
        sold = states.count(reservation_pb2.RESERVATION_STATE_COMMITTED)
        held = states.count(reservation_pb2.RESERVATION_STATE_HELD)
        levels = await town.levels(self._sku)
        trial.require(
            levels == (UNITS - sold, held), f"{sold} units were sold and {held} held, the stock says {levels}"
        )
        told = iter(self._state.items())

        async def compare() -> None:
            for reservation_id, state in told:
                found = (await town.insist(town.reservation, reservation_id)).state
                trial.require(found == state, f"{reservation_id} is {found}, its caller was told {state}")

        await together(*(compare() for _ in range(READERS)))
        for reservation_id in self._refused:
            trial.require(await self._unknown(reservation_id), f"{reservation_id} was refused and is there")
        await self._check_packages()
        trial.violations.extend(await town.findings())

    async def _check_packages(self) -> None:
        wanted = dict.fromkeys(self._packed, pb.STOCK_STATE_HELD)
        wanted |= dict.fromkeys(self._cancelled, pb.STOCK_STATE_RELEASED)
        await require_settled(self._trial, self._town, wanted)
        held = len(self._packed) - len(self._cancelled)
        levels = await self._town.levels(self._packed_sku)
        self._trial.require(
            levels == (UNITS, held), f"{held} packages should hold a unit, the stock says {levels}"
        )

    async def _want_too_much(self) -> None:
        line = reservation_pb2.ReservationLine(sku=self._sku, quantity=2 * UNITS)
        wish = reservation_pb2.ReserveStockRequest(
            reservation_id=f"much-{next(ids)}", holder="chaos", lines=[line]
        )
        try:
            await self._insist(self._town.inventory.ReserveStock, wish)
        except Refused as refused:
            if refused.reason != "INSUFFICIENT_STOCK":
                raise
            self._refused.append(wish.reservation_id)
        else:
            self._trial.violations.append(f"{wish.reservation_id}: {2 * UNITS} of {UNITS} units are held")

    async def _reserve(self) -> None:
        town, wish = self._town, one_unit(f"visit-{next(ids)}", self._sku)
        reservation_id = wish.reservation_id

        async def known() -> object:
            return await town.reservation(reservation_id)

        held = await self._insist(town.inventory.ReserveStock, wish, known=known)
        self._same(reservation_id, held.reservation.reservation_id)
        self._state[reservation_id] = reservation_pb2.RESERVATION_STATE_HELD
        chosen = self._trial.random.random()
        if chosen < 0.5:
            sale = reservation_pb2.CommitReservationRequest(reservation_id=reservation_id)
            sold = await self._insist(town.inventory.CommitReservation, sale)
            self._same(reservation_id, sold.reservation.reservation_id)
            self._state[reservation_id] = reservation_pb2.RESERVATION_STATE_COMMITTED
        elif chosen < 0.8:
            release = reservation_pb2.ReleaseReservationRequest(reservation_id=reservation_id)
            given_back = await self._insist(town.inventory.ReleaseReservation, release)
            self._same(reservation_id, given_back.reservation.reservation_id)
            self._state[reservation_id] = reservation_pb2.RESERVATION_STATE_RELEASED

    async def _pack(self) -> None:
        town, merchant = self._town, self._town.parties.metadata("merchant")
        order_id = await town.insist(town.order, {self._packed_sku: 1}, str(next(ids)))
        wish = town.package_request(pb.WORKFLOW_MERCHANT_TO_USER, order_id)
        wish.request_id = f"create-{wish.package_sn}"

        async def known() -> object:
            return await town.get(wish.package_sn)

        made = await self._insist(town.delivery.CreatePackage, wish, metadata=merchant, known=known)
        self._same(wish.package_sn, made.package.package_sn)
        self._packed.append(wish.package_sn)
        if self._trial.random.random() < 0.5:
            change = pb.CancelPackageRequest(
                package_sn=wish.package_sn,
                reason="changed their mind",
                request_id=f"cancel-{wish.package_sn}",
            )
            cancelled = await self._insist(town.delivery.CancelPackage, change, metadata=merchant)
            self._same(wish.package_sn, cancelled.package.package_sn)
            self._cancelled.append(wish.package_sn)

    def _same(self, asked: str, answered: str) -> None:
        self._trial.require(asked == answered, f"who asked about {asked} was answered about {answered}")

    async def _unknown(self, reservation_id: str) -> bool:
        try:
            await self._town.insist(self._town.reservation, reservation_id)
        except grpc.aio.AioRpcError as error:
            return error.code() is grpc.StatusCode.NOT_FOUND
        return False

    async def _insist(
        self,
        method: Any,
        request: Message,
        *,
        metadata: tuple[tuple[str, str], ...] = SYSTEM,
        known: Known | None = None,
    ) -> Any:
        """The answer, however often its caller left before. Raises Refused.

        `known` raises while nothing is there: it is asked after each call without an answer whether there is an effect
        all the same.
        """
        until = time.monotonic() + STUCK_SECONDS
        while time.monotonic() < until:
            self._asked()
            try:
                answer = await self._ask(method, request, metadata)
            except grpc.aio.AioRpcError as error:
                if error.code() not in TO_BE_REPEATED:
                    reason = refusal(error).reason
                    raise Refused(f"{request!r}: {error.code().name} {reason}", reason) from error
                answer = None
                self.unanswered += 1
                await asyncio.sleep(PAUSE_SECONDS)
            if answer is not None:
                return answer
            self._trial.contention["calls repeated"] += 1
            if known is not None:
                await self._look(known)
        raise Refused(f"{request!r}: not answered for {STUCK_SECONDS:.0f} s")

    async def _look(self, known: Known) -> None:
        try:
            await known()
        except grpc.aio.AioRpcError:
            return
        self._trial.contention["effects of calls whose caller had left"] += 1

    async def _ask(self, method: Any, request: Message, metadata: tuple[tuple[str, str], ...]) -> Any:
        """One call; None where its caller left. Who leaves does so around the moment of the answer."""
        name, chosen = type(request).__name__, self._trial.random
        patience = chosen.uniform(0, 2 * self._typical.get(name, 0.02))
        leaves, began = chosen.random() < self._leaving, time.monotonic()
        if leaves and chosen.random() < 0.5:
            call = method(request, metadata=metadata, timeout=LEAST_DEADLINE_SECONDS + patience)
            try:
                return await call
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.DEADLINE_EXCEEDED:
                    raise
                self._trial.faults["deadlines that passed"] += 1
                return None
        call = method(request, metadata=metadata, timeout=CALL_SECONDS)
        leaving = asyncio.get_running_loop().call_later(patience, call.cancel) if leaves else None
        try:
            answer = await call
        except asyncio.CancelledError:
            if being_cancelled():
                raise
            self._trial.faults["calls cancelled by their caller"] += 1
            return None
        except grpc.aio.AioRpcError as error:
            if leaving is None or error.code() is not grpc.StatusCode.CANCELLED:
                raise
            self._trial.faults["calls cancelled by their caller"] += 1
            return None
        finally:
            if leaving is not None:
                leaving.cancel()
        self._answered(name, began)
        return answer

    def _answered(self, name: str, began: float) -> None:
        now = time.monotonic()
        self.seconds.append((now, now - began))
        typical = self._typical.setdefault(name, now - began)
        self._typical[name] = (1 - LEARNING) * typical + LEARNING * (now - began)
