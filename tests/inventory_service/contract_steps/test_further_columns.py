"""A column of a split table that stock did not take is named before the last copy goes."""

from sqlalchemy.ext.asyncio import AsyncEngine

from tests.inventory_service.contract_steps.conftest import Contract, let_pass, picture
from tests.migrations.inventory.legacy import STOCKS, execute


async def test_values_that_are_in_no_column_of_stock_are_named_and_wanted_to_be_discarded(
    contract: Contract, engine: AsyncEngine
) -> None:
    for table in ("stock_lifecycle", "stock_lifecycle_backup"):
        await execute(engine, f'ALTER TABLE inventory.{table} ADD shelf_life_days integer, ADD "Rack" text')
        await execute(
            engine,
            f"UPDATE inventory.{table} SET shelf_life_days = 33, \"Rack\" = 'R1' WHERE stock_id = :id",  # noqa: S608
            id=STOCKS["a"],
        )
    await let_pass(engine, 31)
    assert (await contract("drop-split-tables"))[0] == 0
    before = await picture(engine)

    code, _, why = await contract("drop-backups")

    named = "stock_lifecycle_backup.shelf_life_days (1 values), stock_lifecycle_backup.Rack (1 values)"
    assert (code, await picture(engine)) == (1, before)
    assert f"in no column of stock are {named}\n" in why
    code, printed, why = await contract("drop-backups", "--discard-data")
    assert (code, printed.endswith(f"; gone with them: {named}\n")) == (0, True), why


async def test_a_value_that_stock_has_too_is_not_named(contract: Contract, engine: AsyncEngine) -> None:
    for table in ("stock_lifecycle", "stock_lifecycle_backup"):
        await execute(engine, f"ALTER TABLE inventory.{table} ADD shelf_life_days integer DEFAULT 33")
    await execute(engine, "UPDATE inventory.stock SET shelf_life_days = 33")
    await let_pass(engine, 31)
    assert (await contract("drop-split-tables"))[0] == 0

    assert "shelf_life_days" not in (await contract("drop-backups"))[2]
