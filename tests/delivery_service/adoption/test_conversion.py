"""What legacy rows mean is converted once, however often the conversion is cut and taken up again."""

from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from delivery_service.adoption import journal
from delivery_service.adoption.catalogue import tables_of
from delivery_service.adoption.conversion import converted_columns, converts, steps
from delivery_service.adoption.run import Dialect, Request, Run
from delivery_service.adoption.steps import Step, run_step
from servicekit.reports.findings import Findings
from servicekit.reports.progress import progress
from tests.delivery_service.adoption.command import Command
from tests.delivery_service.adoption.conftest import SCHEMA
from tests.delivery_service.adoption.legacy_database import Legacy, lay_out
from tests.migrations.delivery.legacy import execute, rows

BERLIN = ZoneInfo("Europe/Berlin")
PACKAGES = (
    "SELECT id, prepare_status, shipping_type, create_time, update_time, actual_arrival_time, touched"
    " FROM tigu_prepare_goods ORDER BY id"
)
IN_OURS = (
    "SELECT id, CASE prepare_status WHEN 6 THEN 0 WHEN 7 THEN 5 ELSE prepare_status END, 1 - shipping_type,"
    " create_time - INTERVAL 2 HOUR, update_time - INTERVAL 2 HOUR, actual_arrival_time - INTERVAL 2 HOUR, touched"
    " FROM tigu_prepare_goods ORDER BY id"
)
ACTIONS = "SELECT id, create_time{} FROM tigu_order_action ORDER BY id"


class Cut(Exception):
    """The process ends here."""


def cut_after(step: Step, batches: int) -> Step:
    """The same step, that ends with its work done and not committed in the batch after so many."""
    done = 0

    async def batch(connection: AsyncConnection, after: int) -> tuple[int | None, int]:
        nonlocal done
        answer = await step.batch(connection, after)
        done += 1
        if done > batches:
            raise Cut
        return answer

    return Step(step.name, step.says, step.table, batch)


@pytest.mark.parametrize("cuts", [(), (0, 1, 1, 3)])
async def test_rows_are_converted_once_wherever_it_is_cut(
    engine: AsyncEngine, folder: Path, cuts: tuple[int, ...]
) -> None:
    await lay_out(engine, Legacy(packages=80, dialect=Dialect.OF_2025_12, odd=False, signed=True))
    await execute(
        engine,
        "ALTER TABLE tigu_prepare_goods MODIFY update_time DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP"
        " ON UPDATE CURRENT_TIMESTAMP, ADD touched TIMESTAMP NULL DEFAULT NULL ON UPDATE CURRENT_TIMESTAMP",
    )
    packages, actions = await rows(engine, IN_OURS), await rows(engine, ACTIONS.format(" - INTERVAL 2 HOUR"))
    run = Run(
        engine,
        SCHEMA,
        Request(folder=folder),
        print,
        progress,
        Findings(folder / "a"),
        Findings(folder / "b"),
    )
    async with engine.connect() as connection:
        await journal.prepare(connection)
        tables = await tables_of(connection)
    for step in steps(tables, Dialect.OF_2025_12, BERLIN, size=9):
        for batches in cuts:
            with pytest.raises(Cut):
                await run_step(run, cut_after(step, batches))
        await run_step(run, step)
        await run_step(run, step)

    assert await rows(engine, PACKAGES) == packages
    assert await rows(engine, ACTIONS.format("")) == actions


@pytest.mark.parametrize("zone", ["UTC", "Asia/Shanghai"])
async def test_a_time_that_the_engine_keeps_by_itself_says_what_it_said(
    engine: AsyncEngine, command: Command, folder: Path, zone: str
) -> None:
    await lay_out(engine, Legacy(packages=12, odd=False))
    await execute(
        engine,
        "ALTER TABLE tigu_prepare_goods"
        " MODIFY update_time DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP",
    )
    times = "SELECT id, update_time{} FROM tigu_prepare_goods ORDER BY id"
    before = await rows(engine, times.format(" - INTERVAL 8 HOUR" if zone != "UTC" else ""))
    await engine.dispose()

    done = await command("adopt", "--dialect", "phase6", "--time-zone", zone, "--backup", str(folder))

    assert done.code == 0, done.errors + done.output
    assert await rows(engine, times.format("")) == before


async def test_what_is_converted_is_said_before(engine: AsyncEngine) -> None:
    await lay_out(engine, Legacy(packages=0))
    async with engine.connect() as connection:
        tables = await tables_of(connection)
    utc = ZoneInfo("UTC")

    assert [converts(Dialect.PHASE_6, zone) for zone in (utc, BERLIN)] == [False, True]
    assert converts(Dialect.OF_2025_12, utc)
    assert converted_columns(tables, Dialect.PHASE_6, utc) == {"tigu_prepare_goods": ["order_ids"]}
    assert steps(tables, Dialect.PHASE_6, utc) == []
    packages = converted_columns(tables, Dialect.OF_2025_12, BERLIN)["tigu_prepare_goods"]
    times = ["create_time", "update_time", "actual_arrival_time"]
    assert packages == [*times, "prepare_status", "shipping_type", "order_ids"]
