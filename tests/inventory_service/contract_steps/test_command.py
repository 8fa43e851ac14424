"""The steps through the command: refused before their time, run after it, taken back until the last."""

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from servicekit.schema.schema_history import HISTORY_TABLE
from tests.inventory_service.contract_steps.conftest import Contract, let_pass, picture
from tests.migrations.inventory.legacy import SCHEMA, execute, rows
from tests.migrations.inventory.soundness import assert_sound
from tests.support.forks import run_command

TABLES = ("stock_financial", "stock_lifecycle", "stock_metrics")


async def shape(engine: AsyncEngine, table: str) -> list[tuple[object, ...]]:
    """A table's columns with types, nullability and defaults, and its keys."""
    columns = await rows(
        engine,
        "SELECT attname, format_type(atttypid, atttypmod), attnotnull, pg_get_expr(adbin, adrelid)"  # noqa: S608
        " FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum"
        f" WHERE attrelid = to_regclass('inventory.{table}') AND attnum > 0 ORDER BY attnum",
    )
    keys = "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = "
    return columns + await rows(engine, f"{keys} to_regclass('inventory.{table}')")


async def test_the_steps_are_listed_with_why_not_yet(contract: Contract) -> None:
    code, printed, _ = await contract()

    *indexes, triggers, tables, backups = printed.splitlines()
    assert code == 0
    assert indexes == [
        "drop-idx-stock-reserved        allowed",
        "drop-idx-stock-status-history  allowed",
    ]
    assert triggers.startswith(
        "disable-legacy-triggers        not yet  the split tables were consolidated at "
    )
    assert tables.startswith("drop-split-tables              not yet  the split tables were consolidated at ")
    assert "its 14 days end at" in tables
    assert backups == "drop-backups                   not yet  drop-split-tables comes first"


@pytest.mark.parametrize(
    ("days", "words", "reason"),
    [
        (13, ["drop-split-tables"], "its 14 days end at"),
        (31, ["drop-backups", "--discard-data"], "drop-split-tables comes first"),
    ],
)
async def test_a_step_is_refused_before_its_time(
    contract: Contract, engine: AsyncEngine, days: int, words: list[str], reason: str
) -> None:
    await let_pass(engine, days)
    before = await picture(engine)

    code, _, why = await contract(*words)

    assert code == 1
    assert f"{words[0]} refused, nothing was changed: " in why
    assert reason in why
    assert await picture(engine) == before


async def test_a_step_is_refused_while_the_schema_is_not_the_expected_one(
    contract: Contract, engine: AsyncEngine
) -> None:
    await let_pass(engine, 31)
    await SCHEMA.downgrade(engine, "0006")
    before = await picture(engine)

    code, _, why = await contract("drop-split-tables")

    assert (code, await picture(engine)) == (1, before)
    assert "the schema is at 0006, this build expects " in why


async def test_a_database_whose_consolidation_nobody_recorded_waits_from_the_first_record_on(
    contract: Contract, engine: AsyncEngine
) -> None:
    await execute(engine, f"DROP TABLE {HISTORY_TABLE}")
    code, _, why = await contract("drop-split-tables")
    assert code == 1
    assert "nobody recorded when revision 0002 was applied: run `migrate upgrade` once" in why

    await SCHEMA.upgrade(engine)
    assert "its 14 days end at" in (await contract("drop-split-tables"))[2]
    await let_pass(engine, 15)

    assert (await contract("drop-split-tables"))[0] == 0


async def test_after_their_time_the_steps_run_in_their_order_and_once(
    contract: Contract, engine: AsyncEngine
) -> None:
    await let_pass(engine, 15)
    kept = [entry[1:] for entry in await picture(engine) if str(entry[0]).endswith("_backup")]

    code, printed, _ = await contract("drop-split-tables")

    assert code == 0
    assert printed.startswith("drop-split-tables: done")
    after = await picture(engine)
    assert [entry[0] for entry in after] == [f"{table}_backup" for table in TABLES]
    assert [entry[1:] for entry in after] == kept
    newest = f"SELECT MAX(name) FROM {HISTORY_TABLE} WHERE kind = 'serves since'"  # noqa: S608
    assert await rows(engine, newest) == [(SCHEMA.expected,)]
    assert (await contract("drop-split-tables"))[:2] == (0, "drop-split-tables: nothing to do\n")
    assert "its 30 days end at" in (await contract("drop-backups", "--discard-data"))[2]

    await let_pass(engine, 16)
    code, _, why = await contract("drop-backups")
    assert (code, await picture(engine)) == (1, after)
    assert "no way back; have a dump, and repeat with --discard-data" in why
    assert (await contract("drop-backups", "--discard-data"))[0] == 0

    assert await picture(engine) == []
    assert (await contract("drop-backups", "--discard-data"))[:2] == (0, "drop-backups: nothing to do\n")
    assert (await contract())[1].split()[-4:] == ["drop-split-tables", "done", "drop-backups", "done"]
    code, _, why = await contract("restore-split-tables")
    assert (code, "the backups were dropped: there is nothing to restore from" in why) == (1, True)
    await assert_sound(engine)


async def test_the_split_tables_come_back_with_rows_keys_and_defaults(
    contract: Contract, engine: AsyncEngine
) -> None:
    before = await picture(engine), [await shape(engine, table) for table in TABLES]
    await let_pass(engine, 15)
    await contract("drop-split-tables")

    code, printed, _ = await contract("restore-split-tables")

    assert (code, printed) == (
        0,
        "restore-split-tables: done; the split tables are back, as their backups were\n",
    )
    assert (await picture(engine), [await shape(engine, table) for table in TABLES]) == before
    assert (await contract("restore-split-tables"))[:2] == (0, "restore-split-tables: nothing to do\n")
    assert (await contract("drop-split-tables"))[0] == 0


async def test_a_step_that_is_killed_has_done_nothing_and_is_run_again(
    contract: Contract, engine: AsyncEngine, postgres_url: str
) -> None:
    await let_pass(engine, 15)
    before = await picture(engine)
    dying = {"INVENTORY_DATABASE_URL": postgres_url, "HOLDFAST_CRASH_AT": "contract.before_commit"}

    assert (await run_command("inventory", "migrate", "contract", "drop-split-tables", **dying)).code == 137

    assert await picture(engine) == before
    assert (await contract("drop-split-tables"))[0] == 0


async def test_a_split_table_in_use_is_left_alone(contract: Contract, engine: AsyncEngine) -> None:
    await let_pass(engine, 15)
    before = await picture(engine)
    async with engine.connect() as writer:
        await writer.execute(text("UPDATE inventory.stock_metrics SET available_quantity = 0"))

        code, _, why = await contract("drop-split-tables")

        await writer.rollback()
    assert (code, await picture(engine)) == (1, before)
    assert "lock timeout" in why


async def test_the_way_back_below_the_consolidation_needs_the_split_tables(
    contract: Contract, engine: AsyncEngine
) -> None:
    await let_pass(engine, 15)
    await contract("drop-split-tables")

    with pytest.raises(Exception, match="restore-split-tables"):
        await SCHEMA.downgrade(engine, "0001")
    assert await SCHEMA.applied(engine) == SCHEMA.expected

    assert (await contract("restore-split-tables"))[0] == 0
    await SCHEMA.downgrade(engine, "0001")
    held = await rows(
        engine, "SELECT reserved_quantity FROM inventory.stock_metrics WHERE reserved_quantity > 0"
    )
    assert held == [(3,)]
