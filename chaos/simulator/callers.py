"""Merchants, drivers and warehouses: they make packages and try every verb, whether it may be or not."""

import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from itertools import count
from typing import Any, cast

from chaos.simulator.clock import Clock
from chaos.simulator.network import at_once
from chaos.simulator.parcels import Parcels, ParcelsUnitOfWork
from chaos.simulator.transactions import ProcessDied, SimulatedTransactions
from delivery_service.application.create_package import CreatePackage, create_package
from delivery_service.application.move_package import MovePackage, move_package
from delivery_service.application.ports import UnitOfWork
from delivery_service.application.register_order import RegisterOrder, register_order
from delivery_service.application.retry_reservation import RetryReservation, retry_reservation
from delivery_service.domain.errors import Refusal
from delivery_service.domain.evidence import Evidence, Photo
from delivery_service.domain.move import Move
from delivery_service.domain.order import OrderItem, Receiver
from delivery_service.domain.package import Package
from delivery_service.domain.package_event import Actor
from delivery_service.domain.transitions import Transition, concerning
from delivery_service.domain.workflow import ActorRole, EvidenceKind, OrderStatus, Verb, Workflow

SHOP, WAREHOUSE = 1, 2
IDS = {ActorRole.MERCHANT: str(SHOP), ActorRole.WAREHOUSE: str(WAREHOUSE)}
DRIVERS = ("3", "4")
DRIVER_VERBS = (Verb.CLAIM, Verb.ASSIGN_DRIVER)
"""These write nothing down where the package is that driver's already."""
LIKELY = {Verb.CANCEL: 1, Verb.RELEASE_CLAIM: 2}
"""Which verbs are tried less often than others, for packages to come somewhere."""
MOST_LIVING = 10
Work = Callable[[UnitOfWork], Awaitable[Package]]


class Callers:
    """Whoever calls delivery. They make a call again until they hear what became of it."""

    def __init__(
        self,
        transactions: SimulatedTransactions[Parcels, ParcelsUnitOfWork],
        clock: Clock,
        chosen: random.Random,
        happened: Counter[str],
    ) -> None:
        self._transactions = transactions
        self._clock = clock
        self._random = chosen
        self._happened = happened
        self._numbers = count(1)
        self._heard: list[tuple[str, Verb]] = []
        """What was acknowledged: this package, this verb."""
        self.unheard: list[tuple[Work, Verb]] = []
        """Calls whose outcome is not known."""
        self._broken: list[str] = []

    def create(self) -> None:
        """A package of one new order, unless there are many on their way."""
        if len(self._living()) >= MOST_LIVING:
            return
        number = next(self._numbers)
        units = {sku: self._random.randint(1, 2) for sku in self._random.sample("ABC", 2)}
        items = [OrderItem(10 * number + place, sku, units[sku], "") for place, sku in enumerate(units)]
        status = OrderStatus.PENDING_SHIPMENT
        self._run(
            partial(
                register_order,
                RegisterOrder(number, f"ON{number}", 1, SHOP, status, tuple(items), Receiver()),
            )
        )
        workflow = self._random.choice(list(Workflow))
        command = CreatePackage(
            f"PG{number}",
            workflow,
            0,
            SHOP,
            WAREHOUSE if workflow.through_warehouse else None,
            (number,),
            (),
            Actor(ActorRole.MERCHANT, str(SHOP)),
            "",
        )
        self._call(partial(create_package, command, new_package_sn=str), Verb.CREATE)

    def move(self) -> None:
        """A verb of some package: mostly one that may follow, sometimes any."""
        if not (living := self._living()):
            return
        package = self._random.choice(living)
        rows = list(concerning(package))
        following = [row for row in rows if package.state in row.sources]
        open_rows = following if following and self._random.random() < 0.8 else rows
        [row] = self._random.choices(open_rows, [LIKELY.get(row.verb, 10) for row in open_rows])
        role = self._random.choice(sorted(row.roles))
        driver = str(package.driver_id or self._random.choice(DRIVERS))
        move = Move(
            row.verb,
            Actor(role, driver if role is ActorRole.DRIVER else IDS.get(role, "9")),
            self._photos(package, row),
            driver_id=int(driver) if row.verb in (Verb.CLAIM, Verb.ASSIGN_DRIVER) else None,
            expected_version=self._random.choice((None, None, package.version, package.version - 1)),
        )
        self._call(partial(move_package, MovePackage(package.package_sn, move, "")), row.verb)
        now = self._transactions.state.packages[package.package_sn]
        if move.expected_version not in (None, package.version) and now is not package:
            self._broken.append(f"{package.package_sn}: {row.verb} of an old version was taken")

    def retry_reservation(self) -> None:
        """Asks again for the stock of some package."""
        if living := self._living():
            package = self._random.choice(living)
            actor = Actor(ActorRole.MERCHANT, str(SHOP))
            command = RetryReservation(package.package_sn, actor, None, "")
            self._call(partial(retry_reservation, command), Verb.RETRY_RESERVATION)

    def insist(self) -> None:
        """Makes calls whose outcome is not known again."""
        again, self.unheard = self.unheard, []
        for work, verb in again:
            self._call(work, verb)

    def disappointed(self) -> Iterator[str]:
        """What was acknowledged and is not there, and what should have been refused."""
        yield from self._broken
        state = self._transactions.state
        for package_sn, verb in self._heard:
            package = state.packages.get(package_sn)
            if package is None or verb not in {event.verb for event in state.events[package.package_id]}:
                yield f"{package_sn}: {verb} was acknowledged, and is lost"

    def _call(self, work: Work, verb: Verb) -> None:
        try:
            package = self._run(work)
        except ProcessDied:
            self.unheard.append((work, verb))
            self._happened["calls made again"] += 1
        except Refusal:
            self._happened["calls refused"] += 1
        else:
            self._happened["calls answered"] += 1
            if verb not in DRIVER_VERBS:
                self._heard.append((package.package_sn, verb))

    def _run(self, work: Callable[[UnitOfWork], Awaitable[Any]]) -> Any:
        """One transaction of a use case, which asks for no more than the parcels give. Raises ProcessDied."""
        return at_once(
            self._transactions.run(cast(Callable[[ParcelsUnitOfWork], Awaitable[Any]], work), name="call")
        )

    def _living(self) -> list[Package]:
        return [package for package in self._transactions.state.packages.values() if package.state.active]

    def _photos(self, package: Package, row: Transition) -> tuple[str, ...]:
        return (self._photo(package, row.evidence),) if row.evidence else ()

    def _photo(self, package: Package, kind: EvidenceKind) -> str:
        """A photo that was uploaded just now."""
        number = next(self._numbers)
        evidence = Evidence(
            f"E{number}",
            package.package_sn,
            kind,
            "",
            Photo(f"{number:064}", "image/jpeg", 1, 1, 1, None, None, None),
            used=False,
            uploader="system:9",
            create_time=self._clock.now,
        )
        self._transactions.state.evidence[evidence.evidence_id] = evidence
        return evidence.evidence_id
