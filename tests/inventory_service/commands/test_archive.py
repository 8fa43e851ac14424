"""Months of the ledger leave for the archive, and every quantity stays the sum of what is left."""

import asyncio
import csv
import io
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from holdfast.inventory.v1 import movement_pb2, reservation_pb2

from inventory_service.application.ledger_ports import ENTRIES_AT_ONCE
from servicekit.process.command_line import CommandFailed
from tests.inventory_service.client import Inventory
from tests.inventory_service.commands.conftest import ArchiveCommand
from tests.inventory_service.ledger import FEBRUARY, JANUARY, Ledger

KEPT = ["stock_movement_archived_2024_01", "stock_movement_archived_2024_02"]


async def listed(inventory: Inventory, **fields: Any) -> movement_pb2.ListMovementsResponse:
    """One page of movements."""
    return await inventory.stub.ListMovements(movement_pb2.ListMovementsRequest(page_size=1000, **fields))


async def test_archived_months_leave_balances_and_every_quantity_as_it_was(
    inventory: Inventory, ledger: Ledger, archive: ArchiveCommand
) -> None:
    before = await inventory.levels("P0")
    sums = await ledger.rows(
        "SELECT stock_id, sum(delta) FROM inventory.stock_movement GROUP BY 1 ORDER BY 1"
    )

    assert await archive() == 0

    assert await inventory.findings() == []
    assert await inventory.levels("P0") == before
    assert await ledger.entries() == []
    left = "SELECT stock_id, sum(quantity) FROM inventory.stock_movement_balance GROUP BY 1 ORDER BY 1"
    assert await ledger.rows(left) == sums
    await inventory.adjust("P0", 4, "after")
    assert await inventory.levels("P0") == (before[0] + 4, 0, before[0] + 4)
    assert await inventory.findings() == []


async def test_readers_are_told_which_movements_are_archived(
    inventory: Inventory, ledger: Ledger, archive: ArchiveCommand
) -> None:
    whole = await listed(inventory)
    assert (len(whole.movements), whole.HasField("archived_before_time")) == (60, False)

    await archive("--before", "2024-02")

    page = await listed(inventory)
    assert page.archived_before_time.ToDatetime() == FEBRUARY.start.replace(tzinfo=None)
    assert len(page.movements) == 30
    gone = await listed(inventory, reference="note 3", sku="P0", end_time=page.archived_before_time)
    assert (list(gone.movements), gone.archived_before_time) == ([], page.archived_before_time)
    assert len((await listed(inventory, reference="note 3", sku="P0")).movements) == 1
    explained = await inventory.stub.ExplainAvailability(reservation_pb2.ExplainAvailabilityRequest(sku="P0"))
    assert explained.ledger_quantity == explained.quantity == 22
    assert explained.archived_quantity == 11


async def test_a_month_ends_at_midnight_in_utc(ledger: Ledger, archive: ArchiveCommand) -> None:
    last = FEBRUARY.start - timedelta(microseconds=1)
    await ledger.enter("P0", 100, last)
    kept = await ledger.rows("SELECT count(*), min(create_time) FROM inventory.stock_movement_2024_02")
    assert kept == [(30, FEBRUARY.start)]

    await archive("--before", "2024-02")

    assert (await ledger.rows("SELECT max(create_time) FROM inventory.stock_movement_archived_2024_01")) == [
        (last,)
    ]
    assert await ledger.rows("SELECT count(*), min(create_time) FROM inventory.stock_movement") == kept


async def test_a_dry_run_changes_nothing(
    ledger: Ledger, archive: ArchiveCommand, capsys: pytest.CaptureFixture[str]
) -> None:
    before = await ledger.state()

    assert await archive("--dry-run", "--drop") == 0

    assert capsys.readouterr().out.splitlines() == [
        "2024-01: 30 entries would be archived",
        "2024-02: 30 entries would be archived",
    ]
    assert await ledger.state() == before
    assert list(archive.folder.iterdir()) == []


async def test_what_is_archived_is_listed_without_the_folder_and_a_dry_run_says_that_nothing_is_left(
    ledger: Ledger, archive: ArchiveCommand, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await archive("list") == 0
    assert capsys.readouterr().out == "no month is archived\n"
    await archive()
    capsys.readouterr()

    assert await archive("--dry-run") == 0
    left = capsys.readouterr().out
    archive.folder = archive.folder / "away"
    assert await archive("list") == 0

    assert left == "nothing to archive: the ledger has no month that is old enough\n"
    assert [line.split()[:3] for line in capsys.readouterr().out.splitlines()] == [
        ["2024-01", "30", "kept"],
        ["2024-02", "30", "kept"],
    ]


@pytest.mark.parametrize("option", [("--dry-run",), ("--drop",), ("--before", "2024-02"), ("--keep", "5")])
async def test_options_of_archiving_are_refused_for_restoring(
    ledger: Ledger, archive: ArchiveCommand, option: tuple[str, ...]
) -> None:
    await archive()
    before = await ledger.state()

    with pytest.raises(CommandFailed, match="no options of restore"):
        await archive(*option, "restore", "2024-01")

    assert await ledger.state() == before


async def test_young_months_are_refused_and_stay(ledger: Ledger, archive: ArchiveCommand) -> None:
    before = await ledger.state()
    [(this_month,)] = await ledger.rows("SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM')")
    [(next_month,)] = await ledger.rows(
        "SELECT to_char(now() AT TIME ZONE 'UTC' + interval '1 month', 'YYYY-MM')"
    )

    with pytest.raises(CommandFailed, match="only months before"):
        await archive("--before", this_month)
    with pytest.raises(CommandFailed, match=f"only months before {this_month}"):
        await archive("--before", next_month, "--keep", "0")

    assert await ledger.state() == before


async def test_a_month_of_more_than_one_list_of_entries_is_archived_whole(
    ledger: Ledger, archive: ArchiveCommand, capsys: pytest.CaptureFixture[str]
) -> None:
    await ledger.fill(JANUARY, ENTRIES_AT_ONCE + 1, stocks=50)
    entries = [entry[1:] for entry in await ledger.entries() if entry[0].endswith("_01")]

    await archive("--before", "2024-02")

    assert await ledger.rows("SELECT row_count FROM inventory.archived_month") == [(len(entries),)]
    await archive("--drop", "--before", "2024-02")
    await archive("restore", "2024-01")
    assert [entry[1:] for entry in await ledger.entries() if entry[0].endswith("_01")] == entries


async def test_an_entry_that_is_being_made_while_the_month_is_written_is_archived_too(
    inventory: Inventory, ledger: Ledger, archive: ArchiveCommand
) -> None:
    time = JANUARY.start + timedelta(days=3)
    async with ledger.entering("P1", 7, time):
        archiving = asyncio.create_task(archive("--before", "2024-02"))
        for _ in range(100):
            await asyncio.sleep(0.02)
            if any(name.endswith(".parquet") for name in os.listdir(archive.folder)):  # noqa: PTH208
                break
        await asyncio.sleep(0.3)
        assert not archiving.done()
    await archiving

    [(taken, count)] = await ledger.rows("SELECT file_name, row_count FROM inventory.archived_month")
    assert (archive.described(), count) == ([taken], 31)
    assert len(list(archive.folder.glob("*.parquet"))) == 2
    assert await inventory.findings() == []


async def test_a_movement_that_comes_after_its_month_left_is_counted_told_and_can_be_brought_home(
    inventory: Inventory, ledger: Ledger, archive: ArchiveCommand
) -> None:
    await archive()
    quantity = (await inventory.levels("P1"))[0]

    await ledger.enter("P1", 7, JANUARY.start + timedelta(days=3))

    assert await inventory.levels("P1") == (quantity + 7, 0, quantity + 7)
    assert await inventory.findings() == ["2024-01: 1 movements came after their month was archived"]
    await archive("restore", "2024-01")
    assert await inventory.findings() == []
    assert await ledger.rows("SELECT count(*) FROM inventory.stock_movement_2024_01") == [(31,)]
    await archive()
    assert await inventory.findings() == []
    assert await ledger.rows("SELECT row_count FROM inventory.archived_month ORDER BY 1") == [(30,), (31,)]


async def test_an_archived_month_is_read_whole_or_by_stock(
    ledger: Ledger, archive: ArchiveCommand, capsys: pytest.CaptureFixture[str]
) -> None:
    columns = "movement_id, create_time, stock_id, sku, delta, reason, reference, note, reservation_id, actor"
    expected = await ledger.rows(
        f"SELECT {columns} FROM inventory.stock_movement_2024_01 JOIN inventory.stock ON id = stock_id"  # noqa: S608
        " ORDER BY create_time, movement_id"
    )
    await archive()
    capsys.readouterr()

    await archive("read", "2024-01", "--csv")
    header, *rows = csv.reader(io.StringIO(capsys.readouterr().out))
    assert ", ".join(header) == columns
    assert rows == [["" if value is None else str(value) for value in row] for row in expected]
    await archive("read", "2024-01", "--sku", "P2")
    lines = capsys.readouterr().out.splitlines()
    assert (len(lines), lines[0]) == (
        10,
        '2024-01-03 01:36:00  P2                                +2  RECEIVED         tests  note 2 ünï "quoted", ✓',
    )


async def test_a_month_that_is_not_archived_is_neither_read_nor_restored(
    ledger: Ledger, archive: ArchiveCommand
) -> None:
    before = await ledger.state()

    for action in ("read", "restore"):
        with pytest.raises(CommandFailed, match="2024-01 is not archived"):
            await archive(action, "2024-01")

    assert await ledger.state() == before


async def test_two_at_once_archive_once(
    inventory: Inventory, ledger: Ledger, archive: ArchiveCommand
) -> None:
    outcomes = await asyncio.gather(archive(), archive(), return_exceptions=True)

    failed = [str(outcome) for outcome in outcomes if outcome != 0]
    assert len(failed) == 1
    assert "another archive command is at work" in failed[0]
    assert len(await ledger.rows("SELECT * FROM inventory.archived_month")) == 2
    assert await inventory.findings() == []


async def test_a_folder_that_is_not_there_is_told_before_anything_is_done(
    ledger: Ledger, archive: ArchiveCommand
) -> None:
    before = await ledger.state()

    with pytest.raises(CommandFailed, match="there is no folder"):
        await archive("--folder", str(archive.folder / "nowhere"))

    assert await ledger.state() == before


async def test_a_database_at_another_schema_is_left_alone(postgres_url: str, tmp_path: Path) -> None:
    with pytest.raises(
        CommandFailed,
        match=r"the schema is at nothing, this build expects \d+; first: inventory-service migrate upgrade",
    ):
        await ArchiveCommand(postgres_url, tmp_path)()
