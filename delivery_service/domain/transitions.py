"""THE table: which verb takes a package from where to where, by whom, with which photo, and what the stock does.

`permit` decides by it and ListAllowedTransitions explains from it; no other code knows a transition.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto

from delivery_service.domain.errors import (
    IllegalTransition,
    NotYourPackage,
    PackageClaimed,
    Refusal,
    StockNotHeld,
    WrongActor,
)
from delivery_service.domain.package import Package
from delivery_service.domain.package_event import Actor
from delivery_service.domain.workflow import (
    ActorRole,
    EvidenceKind,
    PackageState,
    StockEffect,
    StockState,
    Verb,
    Workflow,
)


@dataclass(frozen=True)
class Onward:
    """What the package's orders say: is a leg-1 package active, have all leg-1 packages arrived with everything?

    `called_off` are the orders that were cancelled; told of a package that has not left yet.
    """

    active: bool = False
    arrived: bool = False
    called_off: tuple[int, ...] = ()


class Condition(Enum):
    """What must be true of a package beside its state."""

    CLAIMED = auto()
    NOTHING_ONWARD = auto()
    ONWARD_ARRIVED = auto()


@dataclass(frozen=True)
class Transition:
    """One row. No target: the state stays. No leg: both legs."""

    verb: Verb
    workflows: frozenset[Workflow]
    sources: frozenset[PackageState]
    target: PackageState | None
    roles: frozenset[ActorRole]
    evidence: EvidenceKind | None = None
    stock: StockEffect = StockEffect.NONE
    leg: int | None = None
    condition: Condition | None = None

    @property
    def sends(self) -> bool:
        """Whether it packs goods, or takes them away: the stock must be held, and the orders must stand."""
        return self.stock in (StockEffect.NEEDS_HOLD, StockEffect.COMMIT)


_MW, _MU, _DW, _DU = Workflow
_ALL = frozenset(Workflow)
_BY_DRIVER = frozenset({_DW, _DU})
_THROUGH_WAREHOUSE = frozenset({_MW, _DW})
_MERCHANT, _DRIVER, _WAREHOUSE, _DISPATCHER, _SYSTEM = (frozenset({role}) for role in ActorRole)
(
    _PENDING,
    _PREPARED,
    _PICKED_UP,
    _AT_WAREHOUSE,
    _RECEIVED,
    _OUT,
    _DELIVERED,
    _COMPLETED,
    _CANCELLED,
) = PackageState
_NONE, _NEEDS_HOLD, _COMMIT, _RELEASE = StockEffect
_V, _E = Verb, EvidenceKind
_f = frozenset

# fmt: off
TRANSITIONS: tuple[Transition, ...] = (
    Transition(_V.PREPARE, _ALL, _f({_PENDING}), _PREPARED, _MERCHANT, _E.PREPARATION, _NEEDS_HOLD, leg=0),
    Transition(_V.PREPARE, _f({_DU}), _f({_PENDING}), _PREPARED, _WAREHOUSE, _E.PREPARATION, _NEEDS_HOLD, leg=1),
    Transition(_V.CLAIM, _BY_DRIVER, _f({_PREPARED}), None, _DRIVER),
    Transition(_V.RELEASE_CLAIM, _BY_DRIVER, _f({_PREPARED}), None, _DRIVER | _DISPATCHER,
               condition=Condition.CLAIMED),
    Transition(_V.ASSIGN_DRIVER, _BY_DRIVER, _f({_PREPARED, _PICKED_UP, _AT_WAREHOUSE}), None, _DISPATCHER),
    Transition(_V.PICK_UP, _BY_DRIVER, _f({_PREPARED}), _PICKED_UP, _DRIVER, _E.COLLECTION, _COMMIT),
    Transition(_V.ARRIVE, _f({_DW}), _f({_PICKED_UP}), _AT_WAREHOUSE, _DRIVER, _E.ARRIVAL),
    Transition(_V.RECEIVE, _f({_MW}), _f({_PREPARED}), _RECEIVED, _WAREHOUSE, _E.RECEIPT, _COMMIT),
    Transition(_V.RECEIVE, _f({_DW}), _f({_AT_WAREHOUSE}), _RECEIVED, _WAREHOUSE, _E.RECEIPT),
    Transition(_V.SHIP, _THROUGH_WAREHOUSE, _f({_RECEIVED}), _OUT, _WAREHOUSE, _E.SHIPPING,
               condition=Condition.NOTHING_ONWARD),
    Transition(_V.DELIVER, _THROUGH_WAREHOUSE, _f({_OUT}), _DELIVERED, _WAREHOUSE, _E.DELIVERY),
    Transition(_V.DELIVER, _f({_MU}), _f({_PREPARED}), _DELIVERED, _MERCHANT, _E.DELIVERY, _COMMIT),
    Transition(_V.DELIVER, _f({_DU}), _f({_PICKED_UP}), _DELIVERED, _DRIVER, _E.DELIVERY),
    Transition(_V.COMPLETE, _ALL, _f({_DELIVERED}), _COMPLETED, _MERCHANT | _DISPATCHER | _SYSTEM),
    Transition(_V.COMPLETE, _THROUGH_WAREHOUSE, _f({_RECEIVED}), _COMPLETED, _MERCHANT | _DISPATCHER | _SYSTEM,
               leg=0, condition=Condition.ONWARD_ARRIVED),
    Transition(_V.CANCEL, _ALL, _f({_PENDING, _PREPARED}), _CANCELLED, _MERCHANT | _DISPATCHER,
               stock=_RELEASE),
)
# fmt: on


def permit(package: Package, verb: Verb, actor: Actor, onward: Onward) -> Transition:
    """The row by which this actor may do this to the package now; photos and drivers are not looked at here.

    Raises IllegalTransition, WrongActor, NotYourPackage, PackageClaimed, StockNotHeld.
    """
    row = _row(package, verb)
    if row is None:
        raise _illegal(package, verb, onward, f"a package of {package.workflow} that is {package.state}")
    unmet = _unmet(row, package, onward)
    if unmet:
        raise _illegal(package, verb, onward, unmet)
    if actor.role not in row.roles:
        raise WrongActor(verb, actor.role, tuple(role for role in ActorRole if role in row.roles))
    if verb is Verb.CLAIM:
        if package.driver_id is not None and str(package.driver_id) != actor.actor_id:
            raise PackageClaimed(package.package_sn)
    else:
        check_owner(package, actor)
    if row.sends and package.stock_state not in (StockState.HELD, StockState.NOT_TRACKED):
        raise StockNotHeld(package.package_sn, verb, package.stock_state)
    return row


def check_owner(package: Package, actor: Actor) -> None:
    """Raises NotYourPackage."""
    require_owner(
        actor,
        package.package_sn,
        shop_id=package.shop_id,
        warehouse_id=package.warehouse_id,
        driver_id=package.driver_id,
    )


def require_owner(
    actor: Actor, package_sn: str, *, shop_id: int, warehouse_id: int | None, driver_id: int | None = None
) -> None:
    """Merchants, warehouses and drivers act for their own packages, dispatchers and the system for all.

    What belongs to nobody is not anybody's. Raises NotYourPackage.
    """
    owners = {
        ActorRole.MERCHANT: shop_id,
        ActorRole.WAREHOUSE: warehouse_id,
        ActorRole.DRIVER: driver_id,
    }
    if actor.role not in owners:
        return
    owner = owners[actor.role]
    if owner is None or actor.actor_id != str(owner):
        raise NotYourPackage(package_sn, actor.role.lower(), actor.actor_id)


@dataclass(frozen=True)
class Explanation:
    """One verb as far as one actor is concerned; `refusal` is None where the actor may do it now."""

    verb: Verb
    target: PackageState
    evidence: EvidenceKind | None
    refusal: Refusal | None


def explain(package: Package, actor: Actor, onward: Onward) -> Iterator[Explanation]:
    """Every verb of the package's workflow and leg, in the order of the table."""
    seen: set[Verb] = set()
    for row in TRANSITIONS:
        if row.verb in seen or not _concerns(row, package):
            continue
        seen.add(row.verb)
        row_now = _row(package, row.verb) or row
        refusal: Refusal | None = None
        try:
            permit(package, row.verb, actor, onward)
        except Refusal as why_not:
            refusal = why_not
        yield Explanation(row.verb, row_now.target or package.state, row_now.evidence, refusal)


def concerning(package: Package) -> Iterator[Transition]:
    """The rows of the package's workflow and leg."""
    return (row for row in TRANSITIONS if _concerns(row, package))


def open_verbs(package: Package, onward: Onward) -> tuple[Verb, ...]:
    """The verbs that the right actor may do now."""
    rows = [row for row in TRANSITIONS if _concerns(row, package) and package.state in row.sources]
    return tuple(row.verb for row in rows if not _unmet(row, package, onward))


def _concerns(row: Transition, package: Package) -> bool:
    return package.workflow in row.workflows and row.leg in (None, package.leg)


def _row(package: Package, verb: Verb) -> Transition | None:
    for row in TRANSITIONS:
        if row.verb is verb and _concerns(row, package) and package.state in row.sources:
            return row
    return None


def _unmet(row: Transition, package: Package, onward: Onward) -> str | None:
    if row.condition is Condition.CLAIMED and package.driver_id is None:
        return "nobody has claimed it"
    if row.condition is Condition.NOTHING_ONWARD and package.leg == 0:
        if onward.active:
            return "a leg-1 package of its orders is active"
        if onward.arrived:
            return "everything in it went on with leg 1"
    if row.condition is Condition.ONWARD_ARRIVED and not onward.arrived:
        return "its orders' leg-1 packages are not all delivered"
    if row.sends and onward.called_off:
        return f"order {', '.join(map(str, onward.called_off))} is CANCELLED"
    return None


def _illegal(package: Package, verb: Verb, onward: Onward, why: str) -> IllegalTransition:
    return IllegalTransition(
        package.package_sn, verb, package.state, package.workflow, open_verbs(package, onward), why
    )
