"""A migrated database with packages of the old application, and the command that removes what that needed."""

import argparse
import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.testing import capture_logs

from delivery_service.contract_steps.command import ACTION
from servicekit.schema import migrate_command
from servicekit.schema.migrations import Schema
from servicekit.schema.schema_history import HISTORY_TABLE
from tests.migrations.delivery.legacy import execute, migrating, rows, write_legacy, write_order
from tests.support.databases import fresh_database

Contract = Callable[..., Awaitable[tuple[int, str, str]]]

SCHEMA = Schema("delivery")
LISTS = {1: "1,2", 2: "", 3: "3", 4: "1,2,3"}
"""What packages list; 1 to 3 are active."""
MAPPED = "INSERT INTO tigu_prepare_goods_order VALUES (:package, :order, :leg)"
WRITTEN = (
    "tigu_prepare_goods_order",
    "tigu_prepare_goods_item",
    "tigu_prepare_goods",
    "tigu_order_item",
    "tigu_order",
    "legacy_write_day",
)
KEPT = (
    "MODIFY COLUMN update_time DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,"
    " MODIFY COLUMN prepare_status INT NULL COMMENT '7 is ''the end''; 100%'"
)


@pytest.fixture(scope="module", params=["mysql", "mariadb"])
async def migrated(request: pytest.FixtureRequest) -> AsyncIterator[tuple[str, AsyncEngine]]:
    """A database at the newest revision, on each engine, whose makers had it keep update_time and wrote comments."""
    async with fresh_database(request.param) as url, migrating(url) as (schema, engine):
        await schema.upgrade(engine)
        await execute(engine, f"ALTER TABLE tigu_prepare_goods {KEPT}")
        yield url, engine


@pytest.fixture
async def engine(migrated: tuple[str, AsyncEngine]) -> AsyncIterator[AsyncEngine]:
    """Packages without a status, active ones and past ones, followed long ago or just now: by what is recorded."""
    _, engine = migrated
    for order_id in (1, 2, 3):
        await write_order(engine, order_id)
    for package_id, status in ((1, None), (2, None), (3, 0), (4, 6)):
        await write_legacy(engine, package_id, LISTS[package_id], status=status)
    for package_id, mapped, leg in (
        (1, 1, 0),
        (1, 2, 0),
        (3, 3, 0),
        (4, 1, None),
        (4, 2, None),
        (4, 3, None),
    ):
        await execute(engine, MAPPED, package=package_id, order=mapped, leg=leg)
    await execute(engine, "UPDATE tigu_prepare_goods SET legacy_write_time = NULL, update_time = update_time")
    steps = "kind LIKE 'contract%' OR kind = 'serves since'"
    await execute(engine, f"DELETE FROM {HISTORY_TABLE} WHERE {steps}")  # noqa: S608
    await execute(engine, f"UPDATE {HISTORY_TABLE} SET record_time = UTC_TIMESTAMP(6)")  # noqa: S608
    before = await rows(engine, "SHOW CREATE TABLE tigu_prepare_goods")
    yield engine
    for table in WRITTEN:
        await execute(engine, f"DELETE FROM {table}")  # noqa: S608
    arguments = argparse.Namespace(step=None, writers_wait=True)
    if (await rows(engine, "SHOW CREATE TABLE tigu_prepare_goods"))[0][1] != before[0][1]:
        for arguments.step in ("relax-status", "restore-order-ids"):
            with capture_logs():
                assert await ACTION.run(arguments, SCHEMA, engine) == 0


@pytest.fixture
async def contract(
    engine: AsyncEngine, migrated: tuple[str, AsyncEngine], capsys: pytest.CaptureFixture[str]
) -> AsyncIterator[Contract]:
    """Runs `migrate contract` with arguments as a process would; answers exit code, output and errors."""
    parser = argparse.ArgumentParser()
    migrate_command.add_parser(parser.add_subparsers(), [ACTION])

    async def run(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        arguments = parser.parse_args(["migrate", "contract", *words])
        with capture_logs():
            code = await asyncio.to_thread(migrate_command.run, arguments, SCHEMA, migrated[0])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    yield run


async def let_pass(engine: AsyncEngine, days: int) -> None:
    """As if everything had been recorded so many days earlier."""
    for table, column in ((HISTORY_TABLE, "record_time"), ("legacy_write_day", "last_time")):
        await execute(engine, f"UPDATE {table} SET {column} = {column} - INTERVAL {days} DAY")  # noqa: S608


async def picture(engine: AsyncEngine) -> list[tuple[object, ...]]:
    """The packages' table: how it is made, and what is in it."""
    made = await rows(engine, "SHOW CREATE TABLE tigu_prepare_goods")
    return [*made, *await rows(engine, "SELECT * FROM tigu_prepare_goods ORDER BY id")]
