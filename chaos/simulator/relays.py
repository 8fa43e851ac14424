"""Relays of delivery, taken apart into the steps between which anything may happen: claim, call, answer, record."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

import grpc

from chaos.simulator.inventory import Reply
from chaos.simulator.network import Call, Wire, at_once, failure
from chaos.simulator.parcels import Parcels, ParcelsUnitOfWork
from chaos.simulator.transactions import ProcessDied, SimulatedTransactions
from delivery_service.application.ports import Transactions
from delivery_service.application.record_answers import Told, record_answers
from delivery_service.application.settle_stock import claim_due, send
from delivery_service.application.stock_ports import Answer, Task
from delivery_service.gateways.inventory import InventoryGateway

MOST_AT_ONCE = 4
LEASE_SECONDS = 30.0


@dataclass(eq=False)
class Errand:
    """One command that a relay has on lease, and its call."""

    task: Task
    call: Call[Answer]
    waiting: bool = True
    """Whether its relay still waits for what comes back."""


@dataclass(eq=False)
class Relay:
    """What one process knows; it is gone with the process."""

    errands: list[Errand] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    """Answers that are not on record yet."""

    def die(self) -> None:
        """Forgets everything; what it sent is still under way."""
        for errand in self.errands:
            errand.waiting = False
        self.errands.clear()
        self.told.clear()


class Relays:
    """Relays over one store; whichever dies is started again at once."""

    def __init__(self, transactions: SimulatedTransactions[Parcels, ParcelsUnitOfWork], count: int) -> None:
        self.each = [Relay() for _ in range(count)]
        self._transactions = transactions
        self._gateway = InventoryGateway(cast(grpc.aio.Channel, Wire()))

    def claim(self, relay: Relay) -> list[Errand]:
        """Takes due commands on lease and sends them. Raises ProcessDied."""
        tasks = at_once(claim_due(cast(Transactions, self._transactions), MOST_AT_ONCE, LEASE_SECONDS))
        errands = [Errand(task, Call(send(task, self._gateway))) for task in tasks]
        relay.errands.extend(errands)
        return errands

    def answer(self, errand: Errand, reply: Reply) -> None:
        """What comes back to whoever waits for it still."""
        if errand.waiting:
            errand.waiting = False
            [relay] = [relay for relay in self.each if errand in relay.errands]
            relay.errands.remove(errand)
            relay.told.append(Told(errand.task, errand.call.answer(reply)))

    def time_out(self, errand: Errand) -> None:
        """Whoever waits for it gives up."""
        self.answer(errand, failure(grpc.StatusCode.DEADLINE_EXCEEDED, "too late"))

    def record(self, relay: Relay) -> None:
        """Puts the answers that it got on record. Whatever it knew is gone if it dies: raises ProcessDied."""
        told, relay.told = relay.told, []
        work = cast(Callable[[ParcelsUnitOfWork], Any], partial(record_answers, told, wait=False))
        try:
            at_once(self._transactions.run(work, name="record"))
        except ProcessDied:
            relay.die()
            raise
