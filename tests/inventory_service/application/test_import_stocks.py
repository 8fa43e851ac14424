"""The use case of a part of an import: what it asks of the database."""

from uuid import uuid4

from sqlalchemy import event

from inventory_service.application.import_stocks import import_stocks
from inventory_service.domain.commands import Actor
from inventory_service.domain.stock_import import Import, ImportOutcome, ImportRow
from inventory_service.persistence.unit_of_work import SqlUnitOfWork
from servicekit.persistence.transactions import Transactions
from tests.inventory_service.client import Inventory


async def test_refused_rows_need_no_statement_each(inventory: Inventory) -> None:
    skus = [f"S{number}" for number in range(30)]
    for sku in skus:
        await inventory.create(sku, 5)
    await inventory.reserve("r1", dict.fromkeys(skus, 3))

    async def refused(rows: int) -> int:
        """The number of statements that an import of so many rows takes, all of which are refused."""
        statements = 0

        def count(*_: object) -> None:
            nonlocal statements
            statements += 1

        run = Import("i1", uuid4(), validate_only=False, actor=Actor("merchant:7"))
        asked = [ImportRow(line, sku, 1, {}) for line, sku in enumerate(skus[:rows], start=1)]

        async def part(uow: SqlUnitOfWork) -> ImportOutcome:
            return await import_stocks(run, asked, uow)

        event.listen(inventory.engine.sync_engine, "before_cursor_execute", count)
        try:
            outcome = await Transactions(inventory.engine, SqlUnitOfWork).run(part)
        finally:
            event.remove(inventory.engine.sync_engine, "before_cursor_execute", count)
        assert outcome.refused == len(outcome.problems) == rows
        assert all("held by r1 (order:1)" in problem.description for problem in outcome.problems)
        return statements

    assert await refused(30) == await refused(2)
