"""One history of both services, made of steps that a seed chooses; the same seed makes the same history."""

import random
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from itertools import count

from chaos.simulator import invariants
from chaos.simulator.callers import Callers
from chaos.simulator.clock import Clock
from chaos.simulator.inventory import SimulatedInventory
from chaos.simulator.parcels import Parcels, ParcelsUnitOfWork
from chaos.simulator.post import Post
from chaos.simulator.relays import Relays
from chaos.simulator.shelves import Shelves, ShelvesUnitOfWork
from chaos.simulator.transactions import Fate, ProcessDied, SimulatedTransactions
from delivery_service.application.outbox_ports import CommandState
from inventory_service.application.adjust_stock import adjust_stock
from inventory_service.application.answer_wishes import Wish
from inventory_service.application.expire_due_reservations import expire_due_reservations
from inventory_service.domain.commands import (
    Actor,
    AdjustStock,
    CommitReservation,
    ExtendReservation,
    ReleaseReservation,
    ReserveStock,
)
from inventory_service.domain.movement import MovementReason

SKUS = ("A", "B", "C")
UNITS = 8
SHOP = Actor("merchant:7")
TTL = timedelta(seconds=60)
FATES = (Fate.COMMITTED, Fate.IN_CONFLICT, Fate.LOST, Fate.UNHEARD)
QUIET_ROUNDS, ROUND_SECONDS = 60, 400.0
"""Until everything must have come to rest; a round is longer than any lease, hold or pause."""


class InvariantBroken(Exception):
    """Something is as it may never be."""


class Simulation:
    """Both services, their relays and callers, and a network that loses, doubles and delays."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        # The pause before a command's next attempt is drawn by the use case itself.
        random.seed(seed)
        self.faults: Counter[str] = Counter()
        self.happened: Counter[str] = Counter()
        """What shows that there was something to withstand."""
        self._clock = Clock()
        shelves = Shelves()
        for sku in SKUS:
            shelves.put(sku, UNITS)
        self._shelves = SimulatedTransactions(shelves, ShelvesUnitOfWork, self._clock, self._fate)
        self._parcels = SimulatedTransactions(Parcels(), ParcelsUnitOfWork, self._clock, self._fate)
        self._inventory = SimulatedInventory(self._shelves)
        self._relays = Relays(self._parcels, 2)
        self._callers = Callers(self._parcels, self._clock, self.random, self.happened)
        self._post = Post(self._inventory, self._relays, self.random, self.faults)
        self._holds: list[str] = []
        self._numbers = count(1)
        self._steps: dict[Callable[[], None], int] = {
            self._callers.create: 3,
            self._callers.move: 10,
            self._callers.insist: 2,
            self._callers.retry_reservation: 1,
            self._claim: 6,
            self._post.arrive: 10,
            self._post.lose: 1,
            self._post.answer: 8,
            self._post.time_out: 1,
            self._record: 6,
            self._die: 1,
            self._wait: 4,
            self._receive_goods: 2,
            self._call_inventory: 3,
            self._sweep: 1,
        }

    @property
    def parcels(self) -> Parcels:
        """What delivery knows now."""
        return self._parcels.state

    def run(self, steps: int) -> None:
        """So many steps, then quiet. Raises InvariantBroken, and whatever the services fail with."""
        chosen = self.random.choices(list(self._steps), list(self._steps.values()), k=steps)
        for step in chosen:
            self._checked(step)
        self._come_to_rest()
        at_rest = self._shelves.state
        self._checked(self._post.arrive_again)
        self._require(
            [] if self._shelves.state == at_rest else ["a late copy of a request changed something"]
        )
        self._require(
            [
                *invariants.when_quiet(self._shelves.state, self._parcels.state),
                *self._callers.disappointed(),
            ]
        )
        self._tell()

    def _checked(self, step: Callable[[], None]) -> None:
        shelves, parcels = self._shelves.state, self._parcels.state
        try:
            step()
        except ProcessDied:
            self.faults["processes died in a transaction"] += 1
        broken: list[str] = []
        if self._shelves.state is not shelves:
            broken += invariants.of_shelves(shelves, self._shelves.state)
        if self._parcels.state is not parcels:
            broken += invariants.of_parcels(parcels, self._parcels.state)
        if self._shelves.state is not shelves or self._parcels.state is not parcels:
            broken += invariants.between(self._shelves.state, self._parcels.state)
        self._require(broken)

    def _require(self, broken: list[str]) -> None:
        if broken:
            raise InvariantBroken("; ".join(broken[:5]))

    def _fate(self) -> Fate:
        [fate] = self.random.choices(FATES, (94, 3, 1.5, 1.5))
        return fate

    def _claim(self) -> None:
        self._post.send(self.random.choice(self._relays.each))

    def _record(self) -> None:
        self._relays.record(self.random.choice(self._relays.each))

    def _die(self) -> None:
        relay = self.random.choice(self._relays.each)
        self.faults["leases left by dead relays"] += len(relay.errands) + len(relay.told)
        relay.die()

    def _wait(self) -> None:
        self._clock.wait(self.random.choice((0.1, 1.0, 5.0, 40.0)))

    def _receive_goods(self) -> None:
        sku = self.random.choice(SKUS)
        command = AdjustStock(sku, self.random.randint(1, 4), MovementReason.RECEIVED, "", "", SHOP)
        self._inventory.run(partial(adjust_stock, command))

    def _call_inventory(self) -> None:
        """Holds of others with a time to live, among which those of packages must do."""
        if not self._holds or self.random.random() < 0.5:
            reservation_id = f"other-{next(self._numbers)}"
            units = {sku: self.random.randint(1, 3) for sku in self.random.sample(SKUS, 2)}
            self._inventory.submit([Wish(ReserveStock(reservation_id, "order", units, TTL, SHOP))])
            self._holds.append(reservation_id)
            return
        reservation_id = self.random.choice(self._holds)
        command = self.random.choice(
            (
                CommitReservation(reservation_id, None, SHOP),
                ReleaseReservation(reservation_id, SHOP),
                ExtendReservation(reservation_id, TTL, SHOP),
            )
        )
        self._inventory.submit([Wish(command)])

    def _sweep(self) -> None:
        swept = self._inventory.run(partial(expire_due_reservations, 100))
        self.happened["holds expired"] += swept.due

    def _come_to_rest(self) -> None:
        """No more faults: everything under way arrives, every relay works, time passes."""
        self._shelves.fate = self._parcels.fate = lambda: Fate.COMMITTED
        for _ in range(QUIET_ROUNDS):
            self._checked(self._callers.insist)
            for relay in self._relays.each:
                self._checked(partial(self._post.send, relay))
            if self._post.empty and not self._unfinished():
                break
            self._checked(self._post.arrive_all)
            for relay in self._relays.each:
                self._checked(partial(self._relays.record, relay))
            self._clock.wait(ROUND_SECONDS)
        self._clock.wait(TTL.total_seconds())
        self._checked(self._sweep)

    def _tell(self) -> None:
        for package in self._parcels.state.packages.values():
            self.happened[f"packages {package.state.lower()}"] += 1
        tombstones = [row for row in self._shelves.state.reservations.values() if row.tombstone]
        self.happened["ids closed before they were used"] += len(tombstones)

    def _unfinished(self) -> bool:
        return any(entry.state is not CommandState.DONE for entry in self.parcels.outbox.values())
