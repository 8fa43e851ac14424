"""An archive command may die anywhere: the quantities stay proved, and the next one does the rest."""

import pytest

from tests.inventory_service.client import Inventory
from tests.inventory_service.commands.conftest import ArchiveCommand
from tests.inventory_service.ledger import Ledger

CRASHED = 137


async def crashed(archive: ArchiveCommand, *arguments: str, at: str) -> None:
    """The command as a process that dies at a named point."""
    done = await archive.in_a_process(*arguments, HOLDFAST_CRASH_AT=at)
    assert done.code == CRASHED, done.errors


@pytest.mark.parametrize(
    ("point", "left"),
    [
        ("archive.after_rows", 0),
        ("archive.after_file", 0),
        ("archive.before_commit", 0),
        ("archive.after_commit", 1),
        ("archive.after_balances:2", 1),
    ],
)
async def test_archiving_that_dies_is_finished_by_the_next(
    inventory: Inventory, ledger: Ledger, archive: ArchiveCommand, point: str, left: int
) -> None:
    quantities = "SELECT sku, quantity FROM inventory.stock ORDER BY 1"
    before = await ledger.rows(quantities)

    await crashed(archive, at=point)

    months = await ledger.rows("SELECT month FROM inventory.archived_month")
    balances = await ledger.rows("SELECT DISTINCT month FROM inventory.stock_movement_balance")
    assert len(months) == len(balances) == left
    assert len(await ledger.entries()) == 60 - 30 * left
    assert await inventory.findings() == []
    await archive()
    files = await ledger.rows("SELECT file_name FROM inventory.archived_month ORDER BY 1")
    assert archive.described() == [name for (name,) in files]
    assert len(files) == 2
    assert await inventory.findings() == []
    assert await ledger.rows(quantities) == before
    assert not list(archive.folder.glob("*.unfinished"))
    await archive("--drop")


@pytest.mark.parametrize("point", ["restore.after_balances", "restore.before_commit", "drop.before_commit"])
async def test_restoring_and_dropping_that_die_change_nothing(
    inventory: Inventory, ledger: Ledger, archive: ArchiveCommand, point: str
) -> None:
    whole = await ledger.state()
    await archive()
    before = await ledger.state()

    arguments = ("--drop",) if point.startswith("drop") else ("restore", "2024-01")
    await crashed(archive, *arguments, at=point)

    assert await ledger.state() == before
    assert await inventory.findings() == []
    await archive(*arguments)
    await archive("restore", "2024-02")
    if arguments == ("--drop",):
        await archive("restore", "2024-01")
    assert await ledger.state() == whole


@pytest.mark.parametrize("point", ["restore.after_commit", "drop.after_commit"])
async def test_what_was_restored_or_dropped_by_a_command_that_died_stays_so(
    inventory: Inventory, ledger: Ledger, archive: ArchiveCommand, point: str
) -> None:
    whole = await ledger.state()
    await archive()
    dropping = point.startswith("drop")

    await crashed(archive, *(("--drop",) if dropping else ("restore", "2024-01")), at=point)

    assert len(await ledger.rows("SELECT month FROM inventory.archived_month")) == (2 if dropping else 1)
    assert await inventory.findings() == []
    if dropping:
        await archive("--drop")
        await archive("restore", "2024-01")
    await archive("restore", "2024-02")
    assert await ledger.state() == whole
