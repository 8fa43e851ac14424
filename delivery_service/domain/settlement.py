"""What asking inventory, and inventory's answers, make of a package's stock state."""

from dataclasses import replace
from datetime import datetime

from delivery_service.domain.errors import IllegalTransition, WrongActor
from delivery_service.domain.package import Package
from delivery_service.domain.package_event import Actor, PackageEvent
from delivery_service.domain.packing import check_size
from delivery_service.domain.reservation import Shortage, StockCommand, reservation_id
from delivery_service.domain.transitions import Onward, check_owner, open_verbs
from delivery_service.domain.workflow import ActorRole, StockState, Verb

# What is asked of inventory when a package comes into one of these states.
COMMANDS = {
    StockState.REQUESTED: StockCommand.RESERVE,
    StockState.COMMIT_PENDING: StockCommand.COMMIT,
    StockState.RELEASE_PENDING: StockCommand.RELEASE,
}

_MAY_RETRY = (ActorRole.MERCHANT, ActorRole.DISPATCHER, ActorRole.SYSTEM)


def requested(package: Package, now: datetime) -> Package:
    """The package asking for a hold under its next attempt."""
    attempt = package.attempt + 1
    return replace(
        package,
        stock_state=StockState.REQUESTED,
        attempt=attempt,
        reservation_id=reservation_id(package.package_sn, attempt),
        rejection_reason=None,
        shortages=(),
        version=package.version + 1,
        update_time=now,
    )


def retry(
    package: Package, actor: Actor, last: PackageEvent | None, expected_version: int | None, now: datetime
) -> tuple[Package, PackageEvent | None]:
    """Asks again after a rejection, or for a package that has no hold yet; no event for the same retry again.

    Raises EtagMismatch, IllegalTransition, WrongActor, NotYourPackage, PackageTooLarge.
    """
    asked = package.stock_state in (StockState.REQUESTED, StockState.HELD)
    if asked and last is not None and (last.verb, last.actor) == (Verb.RETRY_RESERVATION, actor):
        return package, None
    package.check_version(expected_version)
    if why := _why_not_retry(package):
        raise IllegalTransition(
            package.package_sn,
            Verb.RETRY_RESERVATION,
            package.state,
            package.workflow,
            open_verbs(package, Onward()),
            why,
        )
    if actor.role not in _MAY_RETRY:
        raise WrongActor(Verb.RETRY_RESERVATION, actor.role, _MAY_RETRY)
    check_owner(package, actor)
    check_size(package.items)
    event = PackageEvent(
        sequence=(last.sequence if last else 0) + 1,
        verb=Verb.RETRY_RESERVATION,
        from_state=package.state,
        to_state=package.state,
        actor=actor,
        driver_id=package.driver_id,
        evidence_ids=(),
        note="",
        create_time=now,
    )
    return requested(package, now), event


def _why_not_retry(package: Package) -> str:
    without_hold = package.stock_state in (StockState.REJECTED, StockState.NOT_TRACKED)
    if not (package.state.on_shelf and without_hold and package.leg == 0):
        return f"a package of leg {package.leg} that is {package.state} with its stock {package.stock_state}"
    return "" if package.lines() else "there is nothing to hold for a package without units"


def settled(package: Package, command: StockCommand, hold_id: str, now: datetime) -> Package:
    """The package after inventory did as told; an answer about an earlier attempt changes nothing."""
    after = {
        (StockCommand.RESERVE, StockState.REQUESTED): StockState.HELD,
        (StockCommand.COMMIT, StockState.COMMIT_PENDING): StockState.COMMITTED,
        (StockCommand.RELEASE, StockState.RELEASE_PENDING): StockState.RELEASED,
    }
    stock_state = after.get((command, package.stock_state))
    if stock_state is None or hold_id != package.reservation_id:
        return package
    return replace(package, stock_state=stock_state, version=package.version + 1, update_time=now)


def rejected(
    package: Package, hold_id: str, reason: str, shortages: tuple[Shortage, ...], now: datetime
) -> Package:
    """The package after inventory refused the hold; about an earlier attempt nothing changes."""
    if package.stock_state is not StockState.REQUESTED or hold_id != package.reservation_id:
        return package
    return replace(
        package,
        stock_state=StockState.REJECTED,
        rejection_reason=reason,
        shortages=shortages,
        version=package.version + 1,
        update_time=now,
    )
