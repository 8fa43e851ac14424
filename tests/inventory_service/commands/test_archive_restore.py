"""Nothing leaves the database, and nothing comes back, but what was proved to be the same."""

import pytest

from inventory_service.domain.ledger import LedgerMonth
from servicekit.process.command_line import CommandFailed
from tests.inventory_service.client import Inventory
from tests.inventory_service.commands.conftest import ArchiveCommand
from tests.inventory_service.ledger import JANUARY, Ledger


def damage(archive: ArchiveCommand, month: LedgerMonth) -> None:
    """Flips one bit of the month's file."""
    [path] = archive.folder.glob(f"*{month}.*.parquet")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


async def test_a_kept_table_becomes_part_of_the_ledger_again(
    inventory: Inventory, ledger: Ledger, archive: ArchiveCommand
) -> None:
    before = await ledger.state()
    await archive()

    await archive("restore", "2024-01")
    assert await inventory.findings() == []
    await archive("restore", "2024-02")

    assert await ledger.state() == before
    assert await inventory.findings() == []


async def test_a_kept_table_comes_back_without_its_file(
    inventory: Inventory, ledger: Ledger, archive: ArchiveCommand
) -> None:
    await archive()
    [path] = archive.folder.glob(f"*{JANUARY}.*.parquet")
    path.unlink()

    await archive("restore", "2024-01")

    assert len(await ledger.entries()) == 30
    assert await inventory.findings() == []


async def test_a_dropped_month_comes_back_from_its_file_entry_for_entry(
    inventory: Inventory, ledger: Ledger, archive: ArchiveCommand
) -> None:
    before = await ledger.state()
    await archive("--drop")
    assert "stock_movement_archived_2024_01" not in await ledger.tables()
    assert await inventory.findings() == []

    await archive("restore", "2024-01")
    await archive("restore", "2024-02")

    assert await ledger.state() == before
    assert await inventory.findings() == []
    constraints = await ledger.rows(
        "SELECT conname FROM pg_constraint WHERE conrelid = 'inventory.stock_movement_2024_01'::regclass"
    )
    assert sorted(name for (name,) in constraints) == [
        "ck_stock_movement_delta",
        "stock_movement_2024_01_pkey",
    ]
    indexes = await ledger.rows(
        "SELECT count(*) FROM pg_inherits JOIN pg_index ON indexrelid = inhrelid"
        " WHERE indrelid = 'inventory.stock_movement_2024_01'::regclass"
    )
    assert indexes == [(5,)]


async def test_a_damaged_file_keeps_its_month_and_no_other(
    inventory: Inventory, ledger: Ledger, archive: ArchiveCommand
) -> None:
    await archive()
    damage(archive, JANUARY)
    kept = await ledger.rows("SELECT * FROM inventory.stock_movement_archived_2024_01 ORDER BY movement_id")
    assert len(kept) == 30

    with pytest.raises(
        CommandFailed, match=r"^2024-01: its table stays; .*2024-01\..* cannot be trusted: .*$"
    ):
        await archive("--drop")

    tables = await ledger.tables()
    assert "stock_movement_archived_2024_02" not in tables
    assert kept == await ledger.rows(
        "SELECT * FROM inventory.stock_movement_archived_2024_01 ORDER BY movement_id"
    )
    assert await inventory.findings() == []


async def test_a_damaged_file_restores_and_shows_nothing(
    inventory: Inventory, ledger: Ledger, archive: ArchiveCommand, capsys: pytest.CaptureFixture[str]
) -> None:
    await archive("--drop")
    damage(archive, JANUARY)
    before = await ledger.state()
    capsys.readouterr()

    for action in ("restore", "read"):
        with pytest.raises(CommandFailed, match=r"2024-01\..* cannot be trusted"):
            await archive(action, "2024-01")

    assert await ledger.state() == before
    assert capsys.readouterr().out == ""
    assert await inventory.findings() == []


@pytest.mark.parametrize(
    ("tampering", "repair"),
    [
        (
            "UPDATE inventory.stock_movement_archived_2024_01 SET delta = 3 WHERE reference = 'note 4'",
            "UPDATE inventory.stock_movement_archived_2024_01 SET delta = 2 WHERE reference = 'note 4'",
        ),
        (
            "UPDATE inventory.stock_movement_archived_2024_01 SET note = 'x' WHERE reference = 'note 4'",
            "UPDATE inventory.stock_movement_archived_2024_01 SET note = 'ünï \"quoted\", ✓'",
        ),
    ],
)
async def test_a_kept_table_that_is_not_the_file_is_not_dropped(
    ledger: Ledger, archive: ArchiveCommand, tampering: str, repair: str
) -> None:
    await archive()
    await ledger.execute(tampering)

    with pytest.raises(CommandFailed, match="does not say what the ledger says of 2024-01"):
        await archive("--drop")

    assert "stock_movement_archived_2024_01" in await ledger.tables()
    await ledger.execute(repair)
    await archive("--drop")
    assert "stock_movement_archived_2024_01" not in await ledger.tables()


@pytest.mark.parametrize(
    "tampering",
    [
        "UPDATE inventory.stock_movement_balance SET quantity = quantity + 1 WHERE month = '2024-01-01'",
        "DELETE FROM inventory.stock_movement_balance WHERE month = '2024-01-01'",
        "DELETE FROM inventory.stock_movement_archived_2024_01 WHERE reference = 'note 4'",
    ],
)
async def test_a_month_that_does_not_agree_with_its_balances_is_not_restored(
    ledger: Ledger, archive: ArchiveCommand, tampering: str
) -> None:
    await archive()
    await ledger.execute(tampering)
    before = await ledger.state()

    with pytest.raises(CommandFailed, match="does not say what the ledger says of 2024-01"):
        await archive("restore", "2024-01")

    assert await ledger.state() == before
