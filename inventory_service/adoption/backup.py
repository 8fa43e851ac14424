"""The backup of the schema `inventory` that is taken before any change."""

from pathlib import Path

from sqlalchemy import URL

from inventory_service.adoption.programs import Programs
from servicekit.adoption.backup import BackupFailed, keep_backup


async def back_up(programs: Programs, url: URL, folder: Path) -> Path:
    """Writes a backup into the folder and reads its list of contents. Raises BackupFailed."""

    async def write(unfinished: Path) -> None:
        await programs.run("pg_dump", ["--format=custom", "--schema=inventory", f"--file={unfinished}"], url)
        await check_backup(programs, unfinished)

    return await keep_backup(folder, f"inventory-{url.database}", "dump", write)


async def check_backup(programs: Programs, file: Path) -> None:
    """Raises BackupFailed unless the file can be read to its end and has the rows of stock in it."""
    contents = await programs.run("pg_restore", ["--list", str(file)])
    if " TABLE DATA inventory stock " not in contents:
        raise BackupFailed(f"{file} is a backup, but has no rows of inventory.stock")
    # The list stands at the head; reading all of it finds a file that ends too early.
    await programs.run("pg_restore", ["--file=/dev/null", str(file)])
