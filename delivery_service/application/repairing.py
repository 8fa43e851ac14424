"""What every repair shares: for whom it is made, how it is told, and how it says that there is none."""

from dataclasses import dataclass

from delivery_service.application.ports import UnitOfWork
from delivery_service.domain.package import Package
from delivery_service.domain.package_event import Actor, PackageEvent
from delivery_service.domain.workflow import Verb


@dataclass(frozen=True)
class Operator:
    """Who has repairs made, in which request; `trace` finds the call in the logs."""

    actor: Actor
    request_id: str
    trace: str


class NothingToRepair(Exception):
    """Under the locks the records agree, or what disagreed is gone."""


class RepairByHand(Exception):
    """No repair is known to be right; `str()` says what people can do."""


class RepairLater(Exception):
    """It is too early to tell; `str()` says why."""


async def note_repair(
    package: Package, what: str, by: Operator, uow: UnitOfWork, *, now_is: Package | None = None
) -> None:
    """Adds the repair to the package's timeline. The package's row is locked.

    Only a repair of the state or the driver says `now_is`; any other leaves the timeline where it led, so that it
    does not hide that they disagree. Photos that are marked as proof of an event of this number, which was lost,
    are named.
    """
    last = await uow.events.last(package.package_id)
    state, driver_id = (last.to_state, last.driver_id) if last else (package.state, package.driver_id)
    sequence = (last.sequence if last else 0) + 1
    marked = await uow.repairs.marked(package.package_id)
    await uow.events.add(
        package.package_id,
        PackageEvent(
            sequence=sequence,
            verb=Verb.RECONCILE,
            from_state=state,
            to_state=now_is.state if now_is else state,
            actor=by.actor,
            driver_id=now_is.driver_id if now_is else driver_id,
            evidence_ids=tuple(marked.get(sequence, ())),
            note=what[:1000],
            create_time=uow.now,
        ),
    )
