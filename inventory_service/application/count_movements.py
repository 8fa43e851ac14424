"""Brings the daily facts up to the ledger."""

from inventory_service.application.fact_ports import CountedThrough
from inventory_service.application.ports import UnitOfWork
from servicekit.crash_points import crash_point


async def count_movements(most: int, uow: UnitOfWork) -> CountedThrough:
    """Counts at most `most` movements into the facts, each once, the oldest first.

    Only one transaction counts at a time, whatever the number of replicas; the others find nothing to do.
    """
    counted = 0
    if await uow.daily_facts.begin_count():
        counted = await uow.daily_facts.count(most)
        crash_point("facts.after_count")
    return CountedThrough(counted, await uow.daily_facts.through_time())
