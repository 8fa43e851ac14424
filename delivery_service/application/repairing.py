"""What every repair shares: for whom it is made, how it is told, and how it says that there is none."""

from dataclasses import dataclass

from delivery_service.application.ports import UnitOfWork
from delivery_service.domain.package import Package
from delivery_service.domain.package_event import Actor, PackageEvent
from delivery_service.domain.workflow import PackageState, Verb


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


async def tell(
    package: Package, what: str, by: Operator, uow: UnitOfWork, *, from_state: PackageState | None = None
) -> None:
    """Adds the repair to the package's timeline. The package's row is locked.

    Only a repair of the state says `from_state`; any other leaves the timeline where it led, so that it does not
    hide that the state disagrees.
    """
    last = await uow.events.last(package.package_id)
    stays = last.to_state if last else package.state
    await uow.events.add(
        package.package_id,
        PackageEvent(
            sequence=(last.sequence if last else 0) + 1,
            verb=Verb.RECONCILE,
            from_state=from_state or stays,
            to_state=package.state if from_state else stays,
            actor=by.actor,
            driver_id=package.driver_id,
            evidence_ids=(),
            note=what[:1000],
            create_time=uow.now,
        ),
    )
