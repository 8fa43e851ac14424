"""Packages that the old application made or moved become packages like all others."""

import structlog

from delivery_service.application.consistency_ports import Drift, Inconsistency
from delivery_service.application.ports import Transactions, UnitOfWork
from delivery_service.application.repair_timeline import repair_state
from delivery_service.application.repairing import NothingToRepair, Operator, RepairByHand, RepairLater
from delivery_service.domain.errors import Unreadable
from delivery_service.domain.package_event import Actor
from delivery_service.domain.workflow import ActorRole

BATCH = 200

_OLD_APPLICATION = Operator(Actor(ActorRole.SYSTEM, "old-application"), "", "")

log = structlog.get_logger("legacy_writes")


async def follow_legacy_writes(transactions: Transactions) -> int:
    """Follows a batch and answers how many writes it were.

    A package that has a timeline gets an event for where the old application moved it, and inventory is told what
    that means for its stock; a move to where no way leads is taken back, as by Reconcile. What cannot be read, and
    what only people can repair, is logged by its number, and CheckConsistency finds it.
    """

    async def moved(uow: UnitOfWork) -> list[str]:
        return await uow.legacy_writes.moved(BATCH)

    by_hand = []
    for package_sn in await transactions.read(moved):
        if not await _tell(package_sn, transactions):
            by_hand.append(package_sn)

    async def follow(uow: UnitOfWork) -> int:
        return await uow.legacy_writes.follow(BATCH, by_hand)

    return await transactions.run(follow)


async def _tell(package_sn: str, transactions: Transactions) -> bool:
    found = Inconsistency(Drift.STATE, package_sn, "moved by the old application", {})

    async def told(uow: UnitOfWork) -> str:
        return await repair_state(found, _OLD_APPLICATION, uow)

    try:
        what = await transactions.run(told)
    except (NothingToRepair, RepairLater):
        return True
    except (RepairByHand, Unreadable) as error:
        log.warning("the old application moved a package", package_sn=package_sn, error=str(error))
        return False
    except Exception as error:
        # Somebody has it locked, or worse: it keeps its mark, and comes again behind the others.
        log.warning("a package was not followed", package_sn=package_sn, error=repr(error))
        return True
    log.info("the old application moved a package", package_sn=package_sn, told=what)
    return True
