"""The backup of an adoption, and the way back to it."""

import asyncio
import stat
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from delivery_service.adoption.backup import back_up as back_up_database
from delivery_service.adoption.programs import find_programs
from delivery_service.adoption.restore import put_back
from delivery_service.adoption.run import Dialect
from delivery_service.commands.adopt import ADOPT, RESTORE
from servicekit.adoption.backup import BackupFailed
from servicekit.adoption.run import AdoptionRefused
from servicekit.persistence.engines import create_engine
from servicekit.reports.progress import progress
from tests.delivery_service.adoption.command import Command, migrate
from tests.delivery_service.adoption.conftest import Adopt, take_action
from tests.delivery_service.adoption.legacy_database import Legacy, lay_out, state

LEGACY = Legacy(packages=12)
BackUp = Callable[[], Awaitable[Path]]
Stand = Callable[[str], Path]


async def test_what_was_adopted_is_put_back_row_for_row(
    engine: AsyncEngine, adopt: Adopt, dump: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await lay_out(engine, LEGACY)
    for statement in (
        "CREATE TABLE photo (id INT PRIMARY KEY, bytes BLOB, word VARCHAR(20) CHARACTER SET utf8mb4, at TIMESTAMP)",
        "INSERT INTO photo VALUES (1, 0x00FF0A0D1A5C27, '\U0001f4e6 l''été', '2025-06-01 12:00:00')",
        "ALTER TABLE photo ADD COLUMN package_id BIGINT UNSIGNED NULL DEFAULT 3,"
        " ADD CONSTRAINT photo_package FOREIGN KEY (package_id) REFERENCES tigu_prepare_goods (id)",
        "CREATE TRIGGER paid BEFORE INSERT ON tigu_order FOR EACH ROW SET NEW.pay_status = 1",
        "CREATE VIEW open_package AS SELECT id FROM tigu_prepare_goods WHERE prepare_status < 6",
        "CREATE PROCEDURE two() SELECT 2",
    ):
        await execute(engine, statement)
    before = await state(engine)
    await adopt(dialect=Dialect.PHASE_6, time_zone="Europe/Berlin")
    (backup,) = backups(folder)
    await execute(engine, "DROP PROCEDURE two")
    await execute(engine, "DROP VIEW open_package")
    capsys.readouterr()

    code = await take_action(RESTORE, engine, str(backup), "--discard-data", "--dump-program", str(dump))

    assert (code, capsys.readouterr().out) == (0, f"the database is as it was in {backup}\n")
    assert meaning(await state(engine)) == meaning(before)
    assert await objects(engine) == {"paid", "two"}
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("delivery_engine", "place"), [("mysql", "restore.after_mark"), ("mariadb", "restore.before_end")]
)
async def test_a_restore_that_is_killed_is_run_again_and_nobody_adopts_what_it_left(
    engine: AsyncEngine,
    adopt: Adopt,
    command: Command,
    back_up: BackUp,
    dump: Path,
    delivery_url: str,
    place: str,
) -> None:
    await lay_out(engine, Legacy(packages=3))
    before = await state(engine)
    backup = await back_up()
    await execute(engine, "DELETE FROM tigu_prepare_goods_item")
    await engine.dispose()

    killed = await command("restore", str(backup), "--discard-data", HOLDFAST_CRASH_AT=place)

    assert killed.code == 137, killed.errors
    half = await state(engine)
    with pytest.raises(AdoptionRefused, match="was being put back from a backup when that was cut short"):
        await adopt(dialect=Dialect.PHASE_6)
    upgrade = await migrate(delivery_url, "upgrade")
    assert (upgrade.code, f"migrate restore {backup} --discard-data" in upgrade.errors) == (1, True)
    assert await state(engine) == half
    async with engine.connect() as connection:
        programs = await find_programs(connection, dump)
        await put_back(connection, programs, engine.url, backup, progress)
    assert meaning(await state(engine)) == meaning(before)


@pytest.mark.parametrize("delivery_engine", ["mysql"])
async def test_what_nobody_agreed_to_changes_nothing(
    engine: AsyncEngine, back_up: BackUp, dump: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await lay_out(engine, Legacy(packages=3))
    words = [str(await back_up()), "--dump-program", str(dump)]
    before = await state(engine)
    user = create_engine(engine.url.render_as_string(hide_password=False), pool_size=1)
    async with user.connect() as connection:
        await connection.exec_driver_sql("SELECT 1")
        assert await take_action(RESTORE, engine, *words, "--discard-data") == 1
    await user.dispose()
    assert await take_action(RESTORE, engine, *words) == 1
    assert await take_action(ADOPT, engine, "--no-backup", "yes") == 2

    told = capsys.readouterr().err
    assert "nothing was put back: others are connected to this database" in told
    assert "stop the servers and the old application" in told
    assert "repeat with --discard-data" in told
    assert '--no-backup "I have a backup of my own"' in told
    assert await state(engine) == before


@pytest.mark.parametrize("delivery_engine", ["mariadb"])
async def test_a_folder_that_cannot_take_the_backup_is_told_before_anything_is_read(
    engine: AsyncEngine, command: Command, tmp_path: Path
) -> None:
    await lay_out(engine, LEGACY)
    before = await state(engine)
    await engine.dispose()
    file = tmp_path / "file"
    file.touch()

    for folder, why in (
        (file, "File exists"),
        (file / "b", "Not a directory"),
        (Path("/proc/b"), "No such file"),
    ):
        done = await command("adopt", "--backup", str(folder))
        says = f"{folder} cannot take the backup and the reports: {why}"
        assert (done.code, done.output, done.errors.startswith(says)) == (1, "", True), done
        assert done.errors.endswith("; name another folder with --backup\n")
        assert done.errors.count("\n") == 1
    dry = await command(
        "adopt", "--dry-run", "--dialect", "phase6", "--backup", str(tmp_path / "deep" / "er")
    )
    assert dry.code == 0, dry
    assert await state(engine) == before


@pytest.fixture
def back_up(engine: AsyncEngine, dump: Path, folder: Path) -> BackUp:
    """Makes a backup of the database, as an adoption would."""

    async def run() -> Path:
        async with engine.connect() as connection:
            programs = await find_programs(connection, dump)
        return await back_up_database(programs, engine.url, folder, progress)

    return run


@pytest.fixture
def stand_in(tmp_path: Path) -> Stand:
    """Makes a dump program that says what it is of, and can do nothing else."""

    def make(version: str) -> Path:
        for name in ("mysqldump", "mysql"):
            program(tmp_path / name, version)
        return tmp_path / "mysqldump"

    return make


async def test_a_folder_that_has_both_makes_gives_the_client_of_the_dump_s_make(
    engine: AsyncEngine, dump: Path, delivery_engine: str
) -> None:
    own, other = ("mysql", "mariadb") if delivery_engine == "mysql" else ("mariadb", "mysql")
    versions = {"mysql": "mysql  Ver 99.0.1 for Linux", "mariadb": "mariadb from 99.4.2-MariaDB, client 15.2"}
    program(dump.with_name(other), versions[other])

    async with engine.connect() as connection:
        programs = await find_programs(connection, dump)

    assert programs.client == dump.with_name(own)


async def test_a_client_that_does_not_reach_the_database_puts_nothing_back(
    engine: AsyncEngine, back_up: BackUp, dump: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await lay_out(engine, Legacy(packages=3))
    words = [str(await back_up()), "--dump-program", str(dump), "--discard-data"]
    before = await state(engine)
    async with engine.connect() as connection:
        client = (await find_programs(connection, dump)).client
    said = await asyncio.to_thread(subprocess.check_output, [str(client), "--version"], text=True)
    program(client, said.strip())

    assert await take_action(RESTORE, engine, *words) == 1

    told = capsys.readouterr().err
    assert told.endswith(f"\nnothing was put back: {client} does not reach the database: no\n")
    assert await state(engine) == before


async def test_without_a_program_of_the_server_s_make_nothing_begins(
    engine: AsyncEngine, adopt: Adopt, stand_in: Stand, tmp_path: Path, folder: Path, delivery_engine: str
) -> None:
    await lay_out(engine, Legacy(packages=3))
    before = await state(engine)
    mysql, mariadb = "mysqldump  Ver {}.0.1 for Linux", "mariadb-dump  Ver 10.19 Distrib {}.6.2-MariaDB, for"
    own, other = (mysql, mariadb) if delivery_engine == "mysql" else (mariadb, mysql)
    for version in (own.format(5), other.format(99)):
        with pytest.raises(
            BackupFailed, match=r"which its own programs back up; .* is of M.* --dump-program"
        ):
            await adopt(dialect=Dialect.PHASE_6, dump_program=stand_in(version))
    with pytest.raises(BackupFailed, match="is no mysqldump or mariadb-dump that runs here"):
        await adopt(dialect=Dialect.PHASE_6, dump_program=tmp_path / "nowhere" / "mysqldump")
    with pytest.raises(BackupFailed, match="mysqldump failed: no"):
        await adopt(dialect=Dialect.PHASE_6, dump_program=stand_in(own.format(99)))

    assert await state(engine) == before
    assert [*backups(folder), *backups(folder, ".*")] == []


def program(file: Path, version: str) -> None:
    """Makes a program that says what it is of, and can do nothing else."""
    file.write_text(f'#!/bin/sh\n[ "$1" = --version ] && echo "{version}" && exit\necho no >&2; exit 2\n')
    file.chmod(0o755)


def meaning(found: dict[str, str]) -> dict[str, str]:
    """Without what MySQL writes out once a dump has named it: the character set of a collation that implies it."""
    return {name: text.replace("CHARACTER SET utf8mb4 COLLATE", "COLLATE") for name, text in found.items()}


def backups(folder: Path, names: str = "*.sql.gz") -> list[Path]:
    """The backups in a folder."""
    return sorted(folder.glob(names))


async def objects(engine: AsyncEngine) -> set[str]:
    """The triggers and procedures of the database."""
    async with engine.connect() as connection:
        triggers = await connection.exec_driver_sql(
            "SELECT CAST(trigger_name AS CHAR) FROM information_schema.triggers WHERE trigger_schema = DATABASE()"
            " UNION SELECT CAST(routine_name AS CHAR) FROM information_schema.routines"
            " WHERE routine_schema = DATABASE()"
        )
        return set(triggers.scalars())


async def execute(engine: AsyncEngine, statement: str) -> None:
    async with engine.begin() as connection:
        await connection.exec_driver_sql(statement)
