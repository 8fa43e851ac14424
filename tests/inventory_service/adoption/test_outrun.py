"""What the application did after Phase 2 stays done, whatever split tables or their backups still say."""

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from inventory_service.domain.legacy import BACKUPS, MONEY, SPLIT_TABLES
from tests.inventory_service.adoption.command import Command
from tests.inventory_service.adoption.conftest import Adopt
from tests.inventory_service.adoption.legacy_database import PHASE_2, Legacy, lay_out
from tests.migrations.inventory.legacy import execute, rows
from tests.migrations.inventory.soundness import assert_sound

AFTER = len(PHASE_2)
LISTED = '[{"status": "active", "platform": "ebay", "listing_id": "E"}]'
ENDED = '[{"status": "ended", "platform": "ebay", "listing_id": "E"}]'
CHANGES = {
    "note 1": ("purchase_price = NULL", "financial", "purchase_price none, there 11.99"),
    "note 2": ("purchase_price = 1.11", "financial", "purchase_price 1.11, there 12.99"),
    "note 3": ("listed_on_platforms = NULL", "lifecycle", f"listed_on_platforms none, there {LISTED}"),
    "note 4": (
        f"listed_on_platforms = '{ENDED}'",
        "lifecycle",
        f"listed_on_platforms {ENDED}, there {LISTED}",
    ),
    "note 6": ("status_history = NULL", "lifecycle", 'status_history none, there ["in_stock"]'),
    "note 8": ("reserved_quantity = 0", "metrics", "reserved_quantity 0, there 2"),
    "note 9": ("reserved_quantity = 3", "metrics", "reserved_quantity 3, there 2"),
}
"""Of which stock the application changed what, and what its split row of which table says still."""
SUMS = (
    f"SELECT count(*), sum(quantity), sum(reserved_quantity), {', '.join(f'sum({name})' for name in MONEY)}"
    " FROM inventory.stock"
)
VALUES = "SELECT notes, purchase_price, listed_on_platforms, status_history, reserved_quantity FROM inventory.stock"
SOLD_OUT = "UPDATE inventory.stock SET listed_stockx = false, listed_alias = false, listed_local = false"


async def outrun(engine: AsyncEngine, phase_2: int) -> dict[str, str]:
    """A database whose application went on after Phase 2; answers the ids of its stocks."""
    await lay_out(engine, Legacy(stocks=12, phase_2=phase_2, split=2, flags=True))
    documents = f"listed_on_platforms = '{LISTED}', status_history = '[\"in_stock\"]'"
    for table in ("stock_lifecycle", "stock_lifecycle_backup"):
        await execute(engine, f"UPDATE inventory.{table} SET {documents}")
    for change in (
        f"status = 'in_stock', {documents}, purchase_price = f.purchase_price, gross_purchase_price ="
        " f.gross_purchase_price, roi_percentage = f.roi_percentage FROM inventory.stock_financial f"
        " WHERE f.stock_id = stock.id",
        *(f"{change} WHERE notes = '{note}'" for note, (change, _, _) in CHANGES.items()),
    ):
        await execute(engine, f"UPDATE inventory.stock SET {change}")
    await execute(engine, SOLD_OUT)
    return {notes: str(key) for key, notes in await rows(engine, "SELECT id, notes FROM inventory.stock")}


@pytest.mark.parametrize(
    ("phase_2", "gone"),
    [(AFTER, ()), (AFTER, BACKUPS), (AFTER, SPLIT_TABLES), (AFTER - 1, ())],
    ids=["with backups", "without backups", "with backups alone", "without its function"],
)
async def test_what_was_undone_since_stays_undone_and_each_difference_is_named_by_row(
    engine: AsyncEngine, adopt: Adopt, phase_2: int, gone: tuple[str, ...]
) -> None:
    named = await outrun(engine, phase_2)
    for table in gone:
        await execute(engine, f"DROP TABLE inventory.{table}")
    sums, values = await rows(engine, SUMS), await rows(engine, f"{VALUES} ORDER BY id")

    dry = await adopt(dry_run=True)
    told = await adopt(without_backup=True)

    assert "this database is from after Phase 2" in told
    oddities = told.split("strange, and taken over:\n")[1].split("\n\n")[0]
    assert oddities in dry
    place = "stock_{}_backup" if gone == SPLIT_TABLES else "stock_{}"
    for kind, holds in (
        ("financial", "money"),
        ("lifecycle", "listings or history"),
        ("metrics", "reserved units"),
    ):
        rows_told = {
            f"  {named[note]} ({says})" for note, (_, where, says) in CHANGES.items() if where == kind
        }
        head = f"rows of {place.format(kind)} with other {holds} than their stock, which keeps its own"
        assert f"{head}: {len(rows_told)}\n" in oddities
        assert rows_told <= set(oddities.splitlines())
    assert f"all {len(CHANGES)} of them are in " in oddities

    assert await rows(engine, SUMS) == sums
    now = await rows(engine, f"{VALUES} ORDER BY id")
    for before, after in zip(values, now, strict=True):
        assert (before[:2], before[4]) == (after[:2], after[4])
        offers = [
            [(entry["listing_id"], entry["status"]) for entry in row[2] or ()] for row in (before, after)
        ]
        assert offers[0] == offers[1]
        assert len(before[3] or ()) == len(after[3] or ())
    for flag in ("listed_stockx", "listed_alias", "listed_local"):
        await execute(engine, f"ALTER TABLE inventory.stock DROP COLUMN {flag}")
    await execute(engine, 'ALTER TABLE inventory.stock DROP COLUMN "Shelf"')
    await assert_sound(engine)


async def test_what_was_told_at_the_adoption_keeps_no_table_from_being_dropped(
    engine: AsyncEngine, adopt: Adopt, command: Command
) -> None:
    await outrun(engine, AFTER)
    await adopt(without_backup=True)
    waited = "UPDATE holdfast_schema_history SET record_time = record_time - interval '31 days'"
    await execute(engine, waited)

    for step in (["drop-split-tables"], ["drop-backups", "--discard-data"]):
        done = await command("contract", *step)
        assert done.code == 0, done.errors


async def test_holds_and_listings_that_other_columns_bring_back_are_named_by_row(
    engine: AsyncEngine, adopt: Adopt
) -> None:
    await lay_out(engine, Legacy(stocks=12, phase_2=AFTER, split=0, flags=True))
    await execute(engine, SOLD_OUT)
    for change in (
        "status = 'in_stock', quantity = 5",
        f"listed_on_platforms = '{ENDED.replace('ebay', 'stockx')}', listed_stockx = true WHERE notes = 'note 1'",
        f"listed_on_platforms = '{ENDED}', status = 'listed_ebay' WHERE notes = 'note 2'",
        f"listed_on_platforms = '{LISTED}', status = 'listed_ebay' WHERE notes = 'note 3'",
    ):
        await execute(engine, f"UPDATE inventory.stock SET {change}")
    named = {notes: str(key) for key, notes in await rows(engine, "SELECT id, notes FROM inventory.stock")}
    await execute(
        engine,
        "CREATE TABLE inventory.stock_reservation AS SELECT 1 AS id, id AS stock_id, 2 AS reserved_quantity"
        " FROM inventory.stock WHERE notes = 'note 4'",
    )

    told = await adopt(without_backup=True)

    oddities = told.split("strange, and taken over:\n")[1].split("\n\n")[0].splitlines()
    assert oddities[:2] == [
        "stocks that count no reserved units and of which stock_reservation holds some, which stay held: 1",
        f"  {named['note 4']} (2 units)",
    ]
    assert oddities[2].startswith("stocks whose listing has ended and whose flag or status says") and set(
        oddities[3:5]
    ) == {f"  {named['note 1']} (stockx)", f"  {named['note 2']} (ebay)"}
    assert await rows(engine, "SELECT sum(reserved_quantity) FROM inventory.stock") == [(2,)]


@pytest.mark.parametrize("cascades", [False, True], ids=["alone", "with its split rows"])
async def test_a_stock_that_was_removed_since_is_named_and_keeps_no_table_from_being_dropped(
    engine: AsyncEngine, adopt: Adopt, command: Command, cascades: bool
) -> None:
    await lay_out(engine, Legacy(stocks=12, phase_2=AFTER, split=2))
    if cascades:
        for table in SPLIT_TABLES:
            reference = "FOREIGN KEY (stock_id) REFERENCES inventory.stock ON DELETE CASCADE"
            await execute(engine, f"ALTER TABLE inventory.{table} ADD {reference}")
    [(gone,)] = await rows(engine, "SELECT id FROM inventory.stock WHERE notes = 'note 5'")
    await execute(engine, "DELETE FROM inventory.stock WHERE notes = 'note 5'")

    told = await adopt(without_backup=True)

    for table in SPLIT_TABLES:
        says = (
            f"rows in which {table} and its backup differ: 1\n  {gone} (only in {table}_backup)"
            if cascades
            else f"rows of {table} without their stock: 1\n  {gone}"
        )
        assert says in told, told
    steps = (["drop-split-tables"], ["drop-backups", "--discard-data"])
    for step in ([["renew-backups"]] if cascades else []) + list(steps):
        waited = "UPDATE holdfast_schema_history SET record_time = record_time - interval '31 days'"
        await execute(engine, waited)
        done = await command("contract", *step)
        assert done.code == 0, done.errors
