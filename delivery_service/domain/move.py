"""How a verb changes a package: the table decides, this applies."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from delivery_service.domain.directory import Driver
from delivery_service.domain.errors import DriverInactive, DriverNotFound
from delivery_service.domain.evidence import Evidence, check_proof
from delivery_service.domain.package import Package
from delivery_service.domain.package_event import Actor, PackageEvent
from delivery_service.domain.transitions import Onward, permit
from delivery_service.domain.workflow import StockEffect, StockState, Verb


@dataclass(frozen=True)
class Move:
    """One verb that an actor wants applied. `driver` is whom AssignDriver names or who claims."""

    verb: Verb
    actor: Actor
    evidence_ids: tuple[str, ...] = ()
    note: str = ""
    driver_id: int | None = None
    expected_version: int | None = None


def repeats(move: Move, last: PackageEvent | None) -> bool:
    """Whether the move is the last applied verb again, by the same actor and with equal evidence."""
    return (
        last is not None
        and last.verb == move.verb
        and last.actor == move.actor
        and sorted(last.evidence_ids) == sorted(move.evidence_ids)
        and (move.verb is not Verb.ASSIGN_DRIVER or last.driver_id == move.driver_id)
    )


def check_driver(driver_id: int, driver: Driver | None) -> None:
    """Raises DriverNotFound, DriverInactive."""
    if driver is None:
        raise DriverNotFound(driver_id)
    if not driver.active:
        raise DriverInactive(driver_id)


def apply_move(
    package: Package,
    move: Move,
    last: PackageEvent | None,
    onward: Onward,
    evidence: Sequence[Evidence],
    driver: Driver | None,
    now: datetime,
) -> tuple[Package, PackageEvent | None]:
    """The package after the move and the event that tells of it; no event where nothing changes.

    Raises EtagMismatch and whatever `permit`, `check_proof` and `check_driver` raise.
    """
    if repeats(move, last):
        return package, None
    package.check_version(move.expected_version)
    transition = permit(package, move.verb, move.actor, onward)
    check_proof(package.package_sn, move.verb, move.actor, transition.evidence, evidence)
    driver_id = _driver_after(package, move)
    if move.verb in (Verb.CLAIM, Verb.ASSIGN_DRIVER):
        if driver_id == package.driver_id:
            return package, None
        check_driver(driver_id or 0, driver)
    target = transition.target or package.state
    changed = replace(
        package,
        state=target,
        driver_id=driver_id,
        stock_state=stock_state_after(package, transition.stock),
        step_times=_step_times_after(package, move.verb, now),
        version=package.version + 1,
        update_time=now,
    )
    event = PackageEvent(
        sequence=(last.sequence if last else 0) + 1,
        verb=move.verb,
        from_state=package.state,
        to_state=target,
        actor=move.actor,
        driver_id=driver_id,
        evidence_ids=move.evidence_ids,
        note=move.note,
        create_time=now,
    )
    return changed, event


def stock_state_after(package: Package, effect: StockEffect) -> StockState:
    """What a verb's effect makes of the stock; a package without a hold stays without one."""
    if package.stock_state is StockState.NOT_TRACKED or package.holds_nothing:
        return package.stock_state
    if effect is StockEffect.COMMIT:
        return StockState.COMMIT_PENDING
    if effect is StockEffect.RELEASE:
        return StockState.RELEASE_PENDING
    return package.stock_state


def _driver_after(package: Package, move: Move) -> int | None:
    if move.verb is Verb.RELEASE_CLAIM:
        return None
    if move.verb in (Verb.CLAIM, Verb.ASSIGN_DRIVER):
        return move.driver_id
    return package.driver_id


def _step_times_after(package: Package, verb: Verb, now: datetime) -> dict[Verb, datetime]:
    times = dict(package.step_times)
    if verb is Verb.RELEASE_CLAIM:
        times.pop(Verb.CLAIM, None)
    else:
        times[Verb.CLAIM if verb is Verb.ASSIGN_DRIVER else verb] = now
    return times
