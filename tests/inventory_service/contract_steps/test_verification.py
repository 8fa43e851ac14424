"""What is needed still keeps what would be removed; what was carried over, or changed since, does not."""

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.inventory_service.contract_steps.conftest import Contract, let_pass, picture
from tests.migrations.inventory.legacy import STOCKS, execute, rows


@pytest.mark.parametrize(
    ("write", "complaint"),
    [
        (
            "INSERT INTO inventory.stock_metrics (stock_id, reserved_quantity) VALUES (:stock, 0)",
            "stock_metrics is not what its backup is",
        ),
        (
            "UPDATE inventory.stock_financial SET vat_rate = 7 WHERE stock_id = :stock",
            "stock_financial is not what its backup is",
        ),
        (
            "DELETE FROM inventory.stock_financial WHERE stock_id = :stock",
            "stock_financial is not what its backup is",
        ),
        (
            "UPDATE inventory.stock SET gross_purchase_price = 33.29 WHERE id = :stock",
            "stock_financial has money that is not in stock",
        ),
        (
            "DELETE FROM inventory.stock WHERE id = :stock",
            "stock_financial has rows of stocks that are gone without a trace",
        ),
    ],
)
async def test_what_is_not_accounted_for_keeps_the_split_tables(
    contract: Contract, engine: AsyncEngine, write: str, complaint: str
) -> None:
    await let_pass(engine, 15)
    await execute(engine, write, stock=STOCKS["d"])
    before = await picture(engine)

    code, _, why = await contract("drop-split-tables")

    assert code == 1
    assert any(line.startswith(complaint) and STOCKS["d"] in line for line in why.splitlines())
    assert await picture(engine) == before


@pytest.mark.parametrize(
    ("loss", "complaint"),
    [
        (
            "UPDATE inventory.stock SET listed_on_platforms = NULL WHERE id = :a",
            "stock_lifecycle_backup has listings or history that are not in stock",
        ),
        (
            "WITH gone AS (DELETE FROM inventory.reservation_line WHERE stock_id = :b)"
            " UPDATE inventory.stock SET reserved_quantity = 0 WHERE id IN (:a, :b)",
            "stock_metrics_backup has held units that neither stock nor a reservation has",
        ),
    ],
)
async def test_the_last_copy_stays_as_long_as_it_is_needed(
    contract: Contract, engine: AsyncEngine, loss: str, complaint: str
) -> None:
    await let_pass(engine, 31)
    await contract("drop-split-tables")
    values = {name: STOCKS[name] for name in ("a", "b") if f":{name}" in loss}
    await execute(engine, loss, **values)
    before = await picture(engine)

    code, _, why = await contract("drop-backups", "--discard-data")

    assert (code, await picture(engine)) == (1, before)
    assert complaint in why


async def test_renewed_backups_take_what_was_written_since_and_start_the_wait_anew(
    contract: Contract, engine: AsyncEngine
) -> None:
    await let_pass(engine, 15)
    await execute(engine, "UPDATE inventory.stock_metrics SET available_quantity = 0")
    assert (await contract("drop-split-tables"))[0] == 1

    assert (await contract("renew-backups"))[0] == 0

    assert await rows(engine, "TABLE inventory.stock_metrics") == await rows(
        engine, "TABLE inventory.stock_metrics_backup"
    )
    assert "the split tables were backed up anew at" in (await contract())[1]
    assert "its 14 days end at" in (await contract("drop-split-tables"))[2]
    await let_pass(engine, 15)
    assert (await contract("drop-split-tables"))[0] == 0


async def test_a_stock_that_was_changed_or_removed_since_is_accounted_for(
    contract: Contract, engine: AsyncEngine
) -> None:
    await let_pass(engine, 15)
    await execute(
        engine,
        "UPDATE inventory.stock SET gross_purchase_price = 1, updated_at = now() WHERE id = :id",
        id=STOCKS["d"],
    )
    await execute(engine, "DELETE FROM inventory.stock WHERE id = :id", id=STOCKS["a"])
    await execute(engine, "INSERT INTO inventory.removed_stock VALUES (:id, 'A', now())", id=STOCKS["a"])

    assert (await contract("drop-split-tables"))[0] == 0


async def test_values_of_a_type_that_knows_no_equality_are_compared_too(
    contract: Contract, engine: AsyncEngine
) -> None:
    for table in ("stock_financial", "stock_financial_backup"):
        await execute(engine, f"ALTER TABLE inventory.{table} ADD extra json DEFAULT '{{}}'")
    await let_pass(engine, 15)
    await execute(engine, "UPDATE inventory.stock_financial SET extra = '[7]'")

    code, _, why = await contract("drop-split-tables")

    assert (code, f"stock_financial is not what its backup is; rows of the stocks {STOCKS['d']}" in why) == (
        1,
        True,
    )
    await execute(engine, "UPDATE inventory.stock_financial SET extra = '{}'")
    assert (await contract("drop-split-tables"))[0] == 0
