"""The checks that OpsService.CheckConsistency runs here, by name."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from functools import partial
from uuid import UUID

from inventory_service.application.ports import Tally, UnitOfWork
from inventory_service.rpc.fact_consistency import daily_facts_check
from inventory_service.rpc.ledger_consistency import partitions_check
from servicekit.operations.consistency import ConsistencyCheck, Finding
from servicekit.persistence.transactions import Transactions

CHUNK = 5000

Checks = Mapping[str, ConsistencyCheck]

Chunks = Callable[[UnitOfWork], Callable[[UUID, int], Awaitable[list[Tally]]]]


def consistency_checks(transactions: Transactions[UnitOfWork]) -> Checks:
    """Each walks all stocks, a chunk a transaction, so that a slow reader of findings holds nothing open."""
    check = partial(_check, transactions)
    return {
        "ledger": check("ledger", lambda uow: uow.tallies.ledger, "quantity", "the sum of its movements"),
        "holds": check(
            "holds", lambda uow: uow.tallies.holds, "reserved_quantity", "the sum of its open holds"
        ),
        "lines": check(
            "lines", lambda uow: uow.tallies.lines, "open_lines", "the sum of those of open holds"
        ),
        "alerts": check(
            "alerts", lambda uow: uow.tallies.alerts, "open_alerts", "the number that its threshold asks for"
        ),
        "partitions": partitions_check(transactions),
        "daily_facts": daily_facts_check(transactions),
    }


def _check(
    transactions: Transactions[UnitOfWork], name: str, chunks: Chunks, recorded: str, counted: str
) -> ConsistencyCheck:
    async def check() -> AsyncIterator[Finding]:
        async for tally in _differences(transactions, chunks):
            yield Finding(
                name,
                tally.sku,
                f"{recorded} is {tally.recorded}, {counted} is {tally.counted}",
                {recorded: str(tally.recorded), "counted": str(tally.counted)},
            )

    return check


async def _differences(transactions: Transactions[UnitOfWork], chunks: Chunks) -> AsyncIterator[Tally]:
    after = UUID(int=0)
    while True:

        async def chunk(uow: UnitOfWork, after: UUID = after) -> list[Tally]:
            return await chunks(uow)(after, CHUNK)

        tallies = await transactions.read(chunk)
        for tally in tallies:
            if tally.recorded != tally.counted:
                yield tally
        if len(tallies) < CHUNK:
            return
        after = tallies[-1].stock_id
