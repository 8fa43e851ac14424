"""The way back: the database as a backup has it, and nothing of this service's in it."""

from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import URL, text
from sqlalchemy.ext.asyncio import AsyncConnection

from delivery_service.adoption.backup import MIB, in_mib, opened
from delivery_service.adoption.expectations import TAKEN_TABLES
from delivery_service.adoption.journal import RESTORE, drop
from delivery_service.adoption.programs import Programs, option_file
from delivery_service.adoption.sessions import others_in
from servicekit.adoption.backup import BackupFailed
from servicekit.adoption.running import running
from servicekit.crash_points import crash_point
from servicekit.schema.migrations import VERSION_TABLE, Progress
from servicekit.schema.schema_history import HISTORY_TABLE

_MARK = "CREATE TABLE IF NOT EXISTS adoption_restore (backup VARCHAR(1000) NOT NULL) ENGINE=InnoDB"
_NAME = text("INSERT INTO adoption_restore (backup) VALUES (:backup)")
_UNMARK = "DROP TABLE adoption_restore"


async def stop_if_in_use(connection: AsyncConnection) -> None:
    """Raises BackupFailed while others are connected; it has to be the first to look."""
    if others := await others_in(connection):
        raise BackupFailed(
            "\n".join(
                [
                    "nothing was put back: others are connected to this database, and what they write would be lost:",
                    *others,
                    "stop the servers and the old application, or say --accept-sessions where none of them writes",
                ]
            )
        )


async def put_back(
    connection: AsyncConnection, programs: Programs, url: URL, file: Path, progress: Progress
) -> None:
    """Replaces the database's tables by those of the backup. Raises BackupFailed.

    Engines of this make commit table by table. So a mark stands in the database until all is put back: a restore
    that was cut short is run again, and until then nobody takes the database for a whole one.
    """
    with option_file(url) as options:
        command = [
            *(
                str(programs.client),
                f"--defaults-file={options}",
                "--batch",
                "--default-character-set=utf8mb4",
            ),
            *("--max-allowed-packet=1G", "--init-command=SET SESSION lock_wait_timeout = 10"),
            str(url.database),
        ]
        async with running([*command, "--execute=SELECT 1"]) as trial:
            if complaint := await trial.complaint():
                raise BackupFailed(
                    f"nothing was put back: {programs.client} does not reach the database: {complaint}"
                )
        await _mark(connection, file)
        await _drop_ours(connection)
        await _feed(command, file, progress)
    crash_point("restore.before_end")
    await connection.exec_driver_sql(_UNMARK)
    await connection.commit()


async def _mark(connection: AsyncConnection, file: Path) -> None:
    await connection.exec_driver_sql(_MARK)
    await connection.execute(_NAME, {"backup": str(file)})
    await connection.commit()
    crash_point("restore.after_mark")


async def _feed(command: Sequence[str], file: Path, progress: Progress) -> None:
    with progress("putting back, MiB", None) as advance:
        tell = in_mib(advance)
        async with running(command, fed=True) as process:
            with opened(file) as rows:
                while (chunk := rows.read(MIB)) and await process.feed(chunk):
                    tell(len(chunk))
            if complaint := await process.complaint():
                raise BackupFailed(f"{complaint}\nthe database is half put back; run migrate restore again")


async def _drop_ours(connection: AsyncConnection) -> None:
    """Without looking at keys: those of the legacy tables come back with the backup."""
    await connection.exec_driver_sql("SET SESSION foreign_key_checks = 0")
    ours = (VERSION_TABLE, HISTORY_TABLE, *TAKEN_TABLES)
    await drop(connection, (table for table in ours if table != RESTORE))
    await connection.exec_driver_sql("SET SESSION foreign_key_checks = 1")
