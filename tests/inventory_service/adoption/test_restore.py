"""The backup of an adoption, and the way back to it."""

import re
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from servicekit.adoption.backup import BackupFailed
from tests.inventory_service.adoption.command import Command
from tests.inventory_service.adoption.conftest import SCHEMA, Adopt
from tests.inventory_service.adoption.legacy_database import PHASE_2, Legacy, lay_out, state
from tests.inventory_service.client import Inventory
from tests.inventory_service.serving import channel_to
from tests.migrations.inventory.legacy import execute

Stand = Callable[[str], Path]


async def test_what_was_adopted_is_put_back_row_for_row(
    engine: AsyncEngine, adopt: Adopt, command: Command, folder: Path
) -> None:
    await lay_out(engine, Legacy(stocks=60, phase_2=len(PHASE_2), split=2, reservations=True, zone=False))
    await execute(
        engine, "CREATE TABLE public.sale (stock_id uuid CONSTRAINT sale_stock REFERENCES inventory.stock)"
    )
    await execute(engine, "INSERT INTO public.sale SELECT id FROM inventory.stock LIMIT 5")
    before = await state(engine)
    await adopt(time_zone="UTC")
    (backup,) = backups(folder)
    adopted = await state(engine)

    refused = await command("restore", str(backup))
    unchanged = await state(engine)
    done = await command("restore", str(backup), "--discard-data")

    assert (refused.code, unchanged == adopted) == (1, True)
    assert "repeat with --discard-data" in refused.errors
    assert (done.code, done.output) == (0, f"the schema inventory is as it was in {backup}\n"), done.errors
    assert await state(engine) == before
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    assert "it is taken as revision 0001" in await adopt(time_zone="UTC", dry_run=True)


async def test_a_file_that_is_no_whole_backup_puts_nothing_back(
    engine: AsyncEngine, adopt: Adopt, command: Command, folder: Path
) -> None:
    await lay_out(engine, Legacy(stocks=600))
    await adopt()
    adopted = await state(engine)
    (backup,) = backups(folder)
    cut = folder / "cut.dump"
    cut.write_bytes(backup.read_bytes()[: backup.stat().st_size * 2 // 3])
    text = folder / "text.dump"
    text.write_text("SELECT 1;")

    for file in (cut, text, folder / "missing.dump"):
        done = await command("restore", str(file), "--discard-data")
        assert done.code == 1
        assert "pg_restore failed: " in done.errors and "Traceback" not in done.errors

    assert await state(engine) == adopted


async def test_a_database_that_is_served_is_not_taken_from_under_the_service(
    engine: AsyncEngine, adopt: Adopt, command: Command, folder: Path, postgres_url: str
) -> None:
    await lay_out(engine, Legacy(stocks=3, split=0))
    before = await state(engine)
    await adopt()
    async with channel_to(postgres_url) as (_, channel):
        inventory = Inventory(channel, engine)
        await inventory.create("NEW", quantity=4)

        refused = await command("restore", str(backups(folder)[0]), "--discard-data")

        assert refused.code == 1
        assert re.search(
            r"nothing was put back: inventory-service has \d+ sessions in this database, .* stop the servers",
            refused.errors,
        )
        assert await SCHEMA.applied(engine) == SCHEMA.expected
        assert await inventory.levels("NEW") == (4, 0, 4)

    done = await command("restore", str(backups(folder)[0]), "--discard-data")
    assert done.code == 0, done.errors
    assert await state(engine) == before


@pytest.fixture
def stand_in(tmp_path: Path) -> Stand:
    """Makes programs of Postgres that say that they are of some version, and can do nothing else."""

    def make(version: str) -> Path:
        for name in ("pg_dump", "pg_restore", "psql"):
            program = tmp_path / name
            program.write_text(
                f'#!/bin/sh\n[ "$1" = --version ] && echo "{name} (PostgreSQL) {version}" && exit\nexit 1\n'
            )
            program.chmod(0o755)
        return tmp_path / "pg_dump"

    return make


async def test_what_the_machine_does_not_give_is_told_in_one_line(
    engine: AsyncEngine, command: Command, tmp_path: Path
) -> None:
    await lay_out(engine, Legacy(stocks=3, split=0))
    before = await state(engine)
    away = f"postgresql+asyncpg://shop@127.0.0.1:9/{engine.url.database}"

    no_map = await command("adopt", "--backup", str(tmp_path / "b"), "--sku-map", str(tmp_path / "no.csv"))
    no_server = await command("adopt", "--backup", str(tmp_path / "b"), INVENTORY_DATABASE_URL=away)

    for done, why in (
        (no_map, f"No such file or directory: '{tmp_path}/no.csv'"),
        (no_server, "Connect call failed"),
    ):
        assert (done.code, done.errors.splitlines()[-1].startswith("migrate adopt failed: ")) == (1, True), (
            done
        )
        assert why in done.errors
    assert (await state(engine), backups(tmp_path / "b", "*")) == (before, [])


async def test_without_a_pg_dump_that_can_read_the_server_nothing_begins(
    engine: AsyncEngine, adopt: Adopt, stand_in: Stand, tmp_path: Path, folder: Path
) -> None:
    await lay_out(engine, Legacy(stocks=3, split=0))
    before = await state(engine)

    with pytest.raises(BackupFailed, match=r"which pg_dump 9 cannot read: install postgresql-client-\d+"):
        await adopt(dump_program=stand_in("9.6.1"))
    stranger = stand_in("99.1").with_name("true")
    stranger.write_text("#!/bin/sh\necho 'true (GNU coreutils) 99.1'\n")
    stranger.chmod(0o755)
    for no_program in (tmp_path / "nowhere" / "pg_dump", stranger):
        with pytest.raises(BackupFailed, match="is no pg_dump that runs here"):
            await adopt(dump_program=no_program)
    with pytest.raises(BackupFailed, match="pg_dump failed"):
        await adopt(dump_program=stand_in("99.1"))

    assert await state(engine) == before
    assert [*backups(folder), *backups(folder, ".*")] == []


async def test_an_adoption_without_a_backup_wants_the_phrase(
    engine: AsyncEngine, command: Command, folder: Path
) -> None:
    await lay_out(engine, Legacy(stocks=3, split=0))
    before = await state(engine)

    done = await command("adopt", "--no-backup", "yes")

    assert (done.code, await state(engine) == before) == (2, True)
    assert '--no-backup "I have a backup of my own"' in done.errors


def backups(folder: Path, names: str = "*.dump") -> list[Path]:
    """The backups in a folder."""
    return sorted(folder.glob(names))
