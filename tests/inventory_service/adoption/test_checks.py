"""Data that contradicts itself stops an adoption: every violation is named by row, and nothing is changed."""

from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from inventory_service.adoption.expectations import TAKEN_FACTS, TAKEN_TABLES
from inventory_service.adoption.sku_map import SkuMapInvalid
from inventory_service.domain.legacy import SPLIT_TABLES
from inventory_service.persistence.tables import metadata
from servicekit.adoption.run import AdoptionRefused
from tests.inventory_service.adoption.conftest import Adopt
from tests.inventory_service.adoption.legacy_database import PHASE_2, Legacy, lay_out, state
from tests.migrations.inventory.legacy import execute, rows

NOBODY = "99999999-9999-9999-9999-999999999999"
ROW = {n: f"(SELECT md5('1 stock {n}')::uuid)" for n in (3, 4, 6, 9, 12, 15, 18, 21, 24)}
DAMAGES = {
    f"rows of stock_lifecycle without their stock: 1\n  {NOBODY}": (
        f"INSERT INTO inventory.stock_lifecycle (stock_id) VALUES ('{NOBODY}')"
    ),
    "stocks with several rows in stock_metrics: 1\n  {24} (2 rows)": (
        f"INSERT INTO inventory.stock_metrics (stock_id) VALUES ({ROW[24]})"
    ),
    "stocks with a negative quantity: 1\n  {4} (-2)": (
        f"UPDATE inventory.stock SET quantity = -2 WHERE id = {ROW[4]}"
    ),
    "stocks without status: 1\n  {9}": (
        "ALTER TABLE inventory.stock ALTER status DROP NOT NULL;"
        f"UPDATE inventory.stock SET status = NULL WHERE id = {ROW[9]}"
    ),
    "stocks with an unknown status: 1\n  {12} (vanished)": (
        f"UPDATE inventory.stock SET status = 'vanished' WHERE id = {ROW[12]}"
    ),
    "stocks whose money is another in stock_financial: 1\n  {15} (purchase_price 0.01, there 25.99)": (
        f"UPDATE inventory.stock SET purchase_price = 0.01 WHERE id = {ROW[15]}"
    ),
    "stocks that hold more than they have, or less than nothing: 1\n  {3} (-5 of 3)": (
        f"UPDATE inventory.stock SET reserved_quantity = -5 WHERE id = {ROW[3]};"
        f"UPDATE inventory.stock_metrics SET reserved_quantity = -5 WHERE stock_id = {ROW[3]};"
        "DROP TABLE inventory.stock_metrics_backup"
    ),
    "stocks whose reserved units are others in stock_metrics: 1\n  {6} (3, there 1)": (
        f"UPDATE inventory.stock SET reserved_quantity = 3 WHERE id = {ROW[6]}"
    ),
    "rows in which stock_financial and its backup differ: 1\n  {18} (only in stock_financial_backup)": (
        f"DELETE FROM inventory.stock_financial WHERE stock_id = {ROW[18]}"
    ),
    "rows of stock_reservation with an unknown status: 1\n  7 of stock {9} (lent)": (
        "INSERT INTO inventory.stock_reservation (id, stock_id, reserved_quantity, status)"
        f" VALUES (7, {ROW[9]}, 1, 'lent')"
    ),
    "open rows of stock_reservation that hold nothing: 1\n  8 of stock {9} (0)": (
        f"INSERT INTO inventory.stock_reservation (id, stock_id, reserved_quantity) VALUES (8, {ROW[9]}, 0)"
    ),
    f"open rows of stock_reservation without their stock: 1\n  9 of stock {NOBODY}": (
        f"INSERT INTO inventory.stock_reservation (id, stock_id, reserved_quantity) VALUES (9, '{NOBODY}', 1)"
    ),
    "or that have fewer units: 1\n  {12} (13 held, 3 counted, of 12)": (
        f"INSERT INTO inventory.stock_reservation (id, stock_id, reserved_quantity) VALUES (10, {ROW[12]}, 13)"
    ),
    "documents of no known shape: listings: 1\n  stock {21} (17)": (
        f"UPDATE inventory.stock SET listed_on_platforms = '[17]' WHERE id = {ROW[21]}"
    ),
    "documents of no known shape: status history: 1\n  stock_lifecycle {21} (true)": (
        f"UPDATE inventory.stock_lifecycle SET status_history = 'true' WHERE stock_id = {ROW[21]};"
        "DROP TABLE inventory.stock_lifecycle_backup"
    ),
}


async def damaged(engine: AsyncEngine, *damages: str) -> dict[int, str]:
    """Lays out a database half-way through Phase 2 and damages it; answers the ids of its rows."""
    await lay_out(engine, Legacy(stocks=24, phase_2=11))
    await execute(
        engine,
        "CREATE TABLE inventory.stock_reservation (id integer, stock_id uuid, reserved_quantity integer, status text)",
    )
    for damage in damages:
        for statement in damage.split(";"):
            await execute(engine, statement)
    return {n: str((await rows(engine, select))[0][0]) for n, select in ROW.items()}


def the_report(folder: Path) -> tuple[Path, list[str]]:
    """The file of violations and its lines."""
    file = folder / "adoption.txt"
    return file, file.read_text().splitlines()


def dumps(folder: Path) -> list[Path]:
    """The backups that were written."""
    return list(folder.glob("*.dump"))


async def test_every_violation_is_named_at_once_and_nothing_is_changed(
    engine: AsyncEngine, adopt: Adopt, folder: Path
) -> None:
    ids = await damaged(engine, *DAMAGES.values())
    before = await state(engine)

    with pytest.raises(AdoptionRefused) as refused:
        await adopt()

    assert await state(engine) == before
    told = str(refused.value)
    for expected in DAMAGES:
        for n, stock_id in ids.items():
            expected = expected.replace(f"{{{n}}}", stock_id)
        assert expected in told, told
    report, lines = the_report(folder)
    assert told.endswith(f"all {len(lines)} of them are in {report}")


async def test_many_violations_are_counted_and_the_file_has_them_all(
    engine: AsyncEngine, adopt: Adopt, folder: Path
) -> None:
    await lay_out(engine, Legacy(stocks=300, split=0))
    await execute(engine, "UPDATE inventory.stock SET quantity = -1")

    with pytest.raises(AdoptionRefused, match="stocks with a negative quantity: 300\n") as refused:
        await adopt()

    assert len(str(refused.value).splitlines()) < 60
    assert "  … and 280 more" in str(refused.value)
    assert len({line for line in the_report(folder)[1] if "negative" in line}) == 300


@pytest.mark.parametrize("phase_2", [11, len(PHASE_2)])
@pytest.mark.parametrize("table", SPLIT_TABLES)
async def test_a_backup_whose_table_alone_is_gone_stops_it_until_it_is_the_table_again(
    engine: AsyncEngine, adopt: Adopt, table: str, phase_2: int
) -> None:
    await lay_out(engine, Legacy(stocks=9, phase_2=phase_2))
    await execute(engine, f"DROP TABLE inventory.{table}")
    before = await state(engine)

    with pytest.raises(AdoptionRefused, match=f"rows of {table}_backup, whose own table is gone: 3"):
        await adopt()
    assert await state(engine) == before

    # As the runbook says.
    await execute(engine, f"ALTER TABLE inventory.{table}_backup RENAME TO {table}")
    await adopt()
    assert await rows(engine, f"SELECT count(*) FROM inventory.{table}_backup") == [(3,)]


async def test_a_sku_map_is_checked_against_the_stocks(
    engine: AsyncEngine, adopt: Adopt, tmp_path: Path
) -> None:
    await lay_out(engine, Legacy(stocks=24, split=0))
    ids = [str(row[0]) for row in await rows(engine, "SELECT id FROM inventory.stock ORDER BY id")]
    lines = [f"{stock_id},SKU-{number}" for number, stock_id in enumerate(ids)]
    lines[1] = f"{ids[1]},SKU-0"
    lines[2] = f"{ids[0]},SKU-2"
    lines[3] = f"{ids[3]},{'x' * 65}"
    lines[4] = f"{ids[4]},two words"
    lines[5:6] = ["no-uuid,SKU-5", f"{NOBODY},SKU-NOBODY", f"{ids[5]}"]
    file = tmp_path / "skus.csv"
    file.write_text("\n".join(["id,sku", *lines]))
    before = await state(engine)

    with pytest.raises(AdoptionRefused) as refused:
        await adopt(sku_map=file)

    assert await state(engine) == before
    for expected in (
        "skus that the sku map gives more than once: 1\n  SKU-0 (lines 2, 3)",
        f"ids that the sku map has more than once: 1\n  {ids[0]} (lines 2, 4)",
        f"stocks that the sku map leaves out: 4\n  {ids[2]}",
        f"characters of A-Z a-z 0-9 . _ : / -: 2\n  line 5 ({'x' * 65})\n  line 6 (two words)",
        "whose id is no UUID: 1\n  line 7 (no-uuid)",
        f"ids of the sku map that are no stock: 1\n  {NOBODY} (line 8)",
        "that are not id,sku: 1\n  line 9 (1 values)",
    ):
        assert expected in str(refused.value)


async def test_a_file_that_is_no_sku_map_is_refused(
    engine: AsyncEngine, adopt: Adopt, tmp_path: Path
) -> None:
    await lay_out(engine, Legacy(stocks=3, split=0))
    file = tmp_path / "skus.csv"
    file.write_text("sku;id\n")

    with pytest.raises(SkuMapInvalid, match="must begin with the header id,sku; it begins with sku;id"):
        await adopt(sku_map=file)
    file.write_bytes(
        b"id,sku\r\n" + f"{NOBODY},A\r\n".encode() * 2 + f"{NOBODY},caf\u00e9\r\n".encode("latin-1")
    )
    with pytest.raises(SkuMapInvalid, match="line 4 is not UTF-8"):
        await adopt(sku_map=file)


def test_every_name_that_the_service_gives_is_looked_for() -> None:
    ours: dict[str | None, set[str]] = {}
    for table in metadata.tables.values():
        ours.setdefault(table.schema, set()).add(table.name)

    assert ours["inventory"] - {"stock"} <= set(TAKEN_TABLES)
    assert ours["analytics"] <= set(TAKEN_FACTS)


async def test_a_table_of_others_that_bears_the_name_of_a_fact_stops_before_anything_is_changed(
    engine: AsyncEngine, adopt: Adopt, folder: Path
) -> None:
    await lay_out(engine, Legacy(stocks=3, split=0))
    await execute(engine, "CREATE SCHEMA analytics")
    await execute(engine, "CREATE TABLE analytics.daily_stock_fact (id integer, day text)")
    before = await state(engine)

    with pytest.raises(
        AdoptionRefused, match=r"analytics\.daily_stock_fact.* bears a name that this service gives"
    ):
        await adopt()

    assert await state(engine) == before
    assert dumps(folder) == []
