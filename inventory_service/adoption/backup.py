"""The backup of the schema `inventory` that is taken before any change."""

import os
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import URL

from inventory_service.adoption.programs import BackupFailed, Programs


async def back_up(programs: Programs, url: URL, folder: Path) -> Path:
    """Writes a backup into the folder and reads its list of contents. Raises BackupFailed."""
    name = f"inventory-{url.database}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.dump"
    unfinished = folder / f".{name}.unfinished"
    _make_private(unfinished)
    try:
        await programs.run("pg_dump", ["--format=custom", "--schema=inventory", f"--file={unfinished}"], url)
        await check_backup(programs, unfinished)
        _keep(unfinished, folder / name)
    except BaseException:
        _forget(unfinished)
        raise
    return folder / name


def _make_private(file: Path) -> None:
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    file.touch(mode=0o600)


def _keep(unfinished: Path, file: Path) -> None:
    _make_durable(unfinished)
    unfinished.rename(file)
    _make_durable(file.parent)


def _make_durable(path: Path) -> None:
    """A file's content, or a folder's names."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _forget(file: Path) -> None:
    file.unlink(missing_ok=True)


async def check_backup(programs: Programs, file: Path) -> None:
    """Raises BackupFailed unless the file can be read to its end and has the rows of stock in it."""
    contents = await programs.run("pg_restore", ["--list", str(file)])
    if " TABLE DATA inventory stock " not in contents:
        raise BackupFailed(f"{file} is a backup, but has no rows of inventory.stock")
    # The list stands at the head; reading all of it finds a file that ends too early.
    await programs.run("pg_restore", ["--file=/dev/null", str(file)])
