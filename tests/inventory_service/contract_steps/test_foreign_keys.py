"""The foreign keys of the split tables go with the drop, and come back with the tables."""

from sqlalchemy.ext.asyncio import AsyncEngine

from tests.inventory_service.contract_steps.conftest import Contract, let_pass
from tests.migrations.inventory.legacy import STOCKS, execute, rows

KEYS = (
    'ALTER TABLE inventory.stock_financial ADD CONSTRAINT "Of stock" FOREIGN KEY (stock_id)'
    " REFERENCES inventory.stock ON DELETE CASCADE",
    "ALTER TABLE inventory.stock_metrics ADD CONSTRAINT of_stock FOREIGN KEY (stock_id) REFERENCES inventory.stock",
    "CREATE TABLE public.note (id integer PRIMARY KEY)",
    "ALTER TABLE inventory.stock_metrics ADD COLUMN note_id integer REFERENCES public.note",
)
THERE = (
    "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid), convalidated FROM pg_constraint"
    " WHERE contype = 'f' AND conrelid::regclass::text ~ '^inventory.stock_(fin|met|lif)' ORDER BY 1, 2"
)


async def test_foreign_keys_come_back_with_the_tables(contract: Contract, engine: AsyncEngine) -> None:
    for statement in KEYS:
        await execute(engine, statement)
    assert (await contract("renew-backups"))[0] == 0
    await let_pass(engine, 15)
    before = await rows(engine, THERE)
    assert len(before) == 3
    assert (await contract("drop-split-tables"))[0] == 0
    assert await rows(engine, THERE) == []

    code, printed, _ = await contract("restore-split-tables")

    assert (code, len(printed.splitlines())) == (0, 1)
    assert await rows(engine, THERE) == before
    assert await rows(engine, "SELECT to_regclass('inventory.dropped_foreign_key')") == [(None,)]


async def test_a_key_that_cannot_come_back_whole_is_named(contract: Contract, engine: AsyncEngine) -> None:
    for statement in KEYS:
        await execute(engine, statement)
    assert (await contract("renew-backups"))[0] == 0
    await let_pass(engine, 15)
    assert (await contract("drop-split-tables"))[0] == 0
    await execute(engine, "INSERT INTO inventory.removed_stock VALUES (:id, 'D', now())", id=STOCKS["d"])
    await execute(engine, "DELETE FROM inventory.stock WHERE id = :id", id=STOCKS["d"])
    await execute(engine, "DROP TABLE public.note")

    code, printed, _ = await contract("restore-split-tables")

    _, note, *broken = printed.splitlines()
    assert code == 0
    assert note.startswith(
        "a foreign key did not come back: stock_metrics, stock_metrics_note_id_fkey: FOREIGN"
    )
    assert len(broken) == 1
    assert broken[0].startswith('a foreign key guards new rows alone: stock_financial, "Of stock": ')
    assert [(name, valid) for _, name, _, valid in await rows(engine, THERE)] == [
        ("Of stock", False),
        ("of_stock", True),
    ]
