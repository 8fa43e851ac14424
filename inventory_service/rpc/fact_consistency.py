"""The check that the daily facts come to what the ledger says, for every stock and day of it."""

from collections.abc import AsyncIterator, Sequence
from datetime import date
from functools import partial

from inventory_service.application.ports import UnitOfWork
from inventory_service.domain.daily_fact import FactDifference
from servicekit.operations.consistency import ConsistencyCheck, Finding
from servicekit.persistence.transactions import Transactions

# So few that one statement can sum all their movements in its 60 s, and one answer hold all their differences.
CHUNK = 100


def daily_facts_check(transactions: Transactions[UnitOfWork]) -> ConsistencyCheck:
    """Walks all stocks against the ledger, then all days; each look is a transaction of its own.

    Facts of archived months, which the ledger does not have any more, are left alone.
    """

    async def check() -> AsyncIterator[Finding]:
        last = ""
        while skus := await transactions.read(partial(_names, last)):
            last = skus[-1]
            for difference in await transactions.read(partial(_by_stock, skus)):
                yield _finding(difference, difference.sku, "the sum of its movements")
        day = date.min
        while following := await transactions.read(partial(_next_day, day)):
            day = following
            for difference in await transactions.read(partial(_by_status, day)):
                yield _finding(difference, day.isoformat(), "the sum of those by sku")

    return check


async def _names(after: str, uow: UnitOfWork) -> Sequence[str]:
    return await uow.daily_facts.names(after, CHUNK)


async def _by_stock(skus: Sequence[str], uow: UnitOfWork) -> Sequence[FactDifference]:
    return await uow.daily_facts.differences_by_stock(skus)


async def _next_day(after: date, uow: UnitOfWork) -> date | None:
    return await uow.daily_facts.next_day(after)


async def _by_status(day: date, uow: UnitOfWork) -> Sequence[FactDifference]:
    return await uow.daily_facts.differences_by_status(day)


def _finding(difference: FactDifference, subject: str, counted: str) -> Finding:
    column = difference.column.value
    return Finding(
        "daily_facts",
        subject,
        f"{column} of {difference.day} is {difference.recorded}, {counted} is {difference.counted}",
        {
            "day": difference.day.isoformat(),
            column: str(difference.recorded),
            "counted": str(difference.counted),
        },
    )
