"""Data that contradicts itself stops an adoption: every violation is named by row, and nothing is changed."""

from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from delivery_service.adoption.checks import SAY_DIALECT
from delivery_service.adoption.run import Dialect
from servicekit.adoption.run import AdoptionRefused
from tests.delivery_service.adoption.conftest import Adopt
from tests.delivery_service.adoption.legacy_database import Legacy, lay_out, state
from tests.migrations.delivery.legacy import execute, rows

PACKAGE = "UPDATE tigu_prepare_goods SET {} WHERE id = "
CLEAN = (
    "driver_id = NULL, warehouse_id = 1, type = 0, delivery_type = 0, shipping_type = 0, prepare_status = 0"
)
DAMAGES = {
    "packages with an unknown prepare_status: 1\n  PG000001 (8)": PACKAGE.format("prepare_status = 8") + "1",
    "packages with an unknown delivery_type: 1\n  PG000002 (2)": PACKAGE.format("delivery_type = 2") + "2",
    "packages with an unknown shipping_type: 1\n  PG000003 (9)": PACKAGE.format("shipping_type = 9") + "3",
    "packages with an unknown type: 1\n  PG000004 (2)": PACKAGE.format("type = 2") + "4",
    "packages of a negative value: 1\n  PG000005 (-0.01)": PACKAGE.format("total_value = -0.01") + "5",
    "is not 1 to 64 characters of A-Z a-z 0-9 . _ : / -: 1\n  PG 6 (6)": PACKAGE.format("prepare_sn = 'PG 6'")
    + "6",
    "that differ in nothing but small letters and blanks: 1\n  PG000008 (2 packages)": PACKAGE.format(
        "prepare_sn = 'pg000008'"
    )
    + "7",
    "MERCHANT_TO_WAREHOUSE in a state that is not on its way: 1\n  PG000009 (prepare_status 2)": PACKAGE.format(
        "prepare_status = 2"
    )
    + "9",
    "that do not say which; give them a warehouse_id: 1\n  PG000010": PACKAGE.format("warehouse_id = NULL")
    + "10",
    "pending packages of leg 1 that no warehouse can prepare": PACKAGE.format(
        "type = 1, prepare_status = NULL"
    )
    + "11",
    "whose shop_id is less than nothing: 1\n  12 (-7)": PACKAGE.format("shop_id = -7") + "12",
    "rows of tigu_prepare_goods whose create_time is no time: 1\n  13 (0000-00-00 00:00:00)": PACKAGE.format(
        "create_time = '0000-00-00'"
    )
    + "13",
    "rows of tigu_prepare_goods without update_time: 1\n  14": PACKAGE.format("update_time = NULL") + "14",
    "items of packages that do not exist: 1\n  item 9001 (prepare_id 777)": (
        "INSERT INTO tigu_prepare_goods_item (id, prepare_id, order_item_id, product_id, sku_id, quantity)"
        " VALUES (9001, 777, 1, 1, 1, 1)"
    ),
    "less than no units, or more than 1000000000: 1\n  item 9002 of PG000015 (-1)": (
        "INSERT INTO tigu_prepare_goods_item (id, prepare_id, order_item_id, product_id, sku_id, quantity)"
        " VALUES (9002, 15, 1, 1, 1, -1)"
    ),
    "orders with an unknown order_status: 1\n  90001 (6)": (
        "INSERT INTO tigu_order (id, order_sn, user_id, shop_id, order_status) VALUES (90001, 'a', 1, 7, 6)"
    ),
    "orders of a negative amount: 1\n  90002 (-1.00)": (
        "INSERT INTO tigu_order (id, order_sn, user_id, shop_id, total_amount) VALUES (90002, 'b', 1, 7, -1)"
    ),
    "items of orders of a negative price: 1\n  90003 (-0.50)": (
        "INSERT INTO tigu_order_item (id, order_id, product_id, sku_id, quantity, price)"
        " VALUES (90003, 90001, 1, 1, 1, -0.5)"
    ),
}
LOOSE = (
    "SET SESSION sql_mode = '', foreign_key_checks = 0",
    "ALTER TABLE tigu_prepare_goods MODIFY update_time DATETIME NULL",
)


async def damaged(engine: AsyncEngine, *damages: str) -> None:
    """Lays out packages without fault, and damages them as an engine that is not strict would allow it."""
    await lay_out(engine, Legacy(packages=16, odd=False, signed=True))
    await execute(engine, PACKAGE.format(CLEAN) + "id")
    async with engine.connect() as connection:
        for statement in (*LOOSE, *damages):
            await connection.exec_driver_sql(statement)
        await connection.commit()
        await connection.invalidate()


def dumps(folder: Path) -> list[Path]:
    """The backups that were written."""
    return list(folder.glob("*.sql*"))


async def test_every_violation_is_named_at_once_and_nothing_is_changed(
    engine: AsyncEngine, adopt: Adopt, folder: Path
) -> None:
    await damaged(engine, *DAMAGES.values())
    before = await state(engine)

    with pytest.raises(AdoptionRefused) as refused:
        await adopt(dialect=Dialect.PHASE_6)

    assert await state(engine) == before
    told = str(refused.value)
    for expected in DAMAGES:
        assert expected in told, told
    lines = (folder / "stops.txt").read_text().splitlines()
    assert len(lines) == len(DAMAGES)
    assert told.endswith(f"all {len(lines)} of them are in {folder / 'stops.txt'}")
    assert dumps(folder) == []


async def test_numbers_that_could_mean_two_things_ask_for_a_dialect_and_others_do_not(
    engine: AsyncEngine, adopt: Adopt
) -> None:
    await damaged(engine)
    assert "dry run: nothing was changed" in await adopt(dry_run=True)
    await execute(engine, PACKAGE.format("prepare_status = id + 3") + "3 OR id = 4")
    await execute(engine, PACKAGE.format("shipping_type = 1") + "5")
    await execute(engine, PACKAGE.format("warehouse_id = NULL") + "6")
    before = await state(engine)

    with pytest.raises(AdoptionRefused) as refused:
        await adopt()

    assert await state(engine) == before
    assert (
        f"packages whose prepare_status may mean two things; {SAY_DIALECT}: 2\n"
        "  PG000003 (prepare_status 6)\n  PG000004 (prepare_status 7)" in str(refused.value)
    )
    assert (
        f"packages whose shipping_type contradicts their warehouse; {SAY_DIALECT}: 2\n"
        "  PG000005 (shipping_type 1, warehouse_id 1)\n  PG000006 (shipping_type 0, warehouse_id none)"
        in str(refused.value)
    )


async def test_a_claim_without_a_driver_contradicts_the_dialect_of_2025_12(
    engine: AsyncEngine, adopt: Adopt
) -> None:
    await damaged(
        engine,
        PACKAGE.format("shipping_type = 1") + "id",
        PACKAGE.format("prepare_status = 6, delivery_type = 1") + "3",
        PACKAGE.format("prepare_status = 6, driver_id = 5") + "4",
        PACKAGE.format("prepare_status = 6, delivery_type = 1, driver_id = 5") + "5",
    )
    before = await rows(engine, "SELECT * FROM tigu_prepare_goods")

    with pytest.raises(AdoptionRefused) as refused:
        await adopt(dialect=Dialect.OF_2025_12)

    says = "packages that are claimed without a driver, or by one on a merchant's workflow: 2"
    assert f"{says}\n  PG000003 (driver_id none)\n  PG000004 (driver_id 5)\nall 2" in str(refused.value)
    assert await rows(engine, "SELECT * FROM tigu_prepare_goods") == before
