"""The file of a backup, which has its name once it is whole."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

from servicekit.durable_files import keep, make_private


class BackupFailed(Exception):
    """There is no backup, or none that could be used; the message says what to do."""


async def keep_backup(folder: Path, of: str, ending: str, write: Callable[[Path], Awaitable[None]]) -> Path:
    """Has a backup written and checked, and then gives it its name. Raises what `write` does, and leaves nothing."""
    name = f"{of}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.{ending}"
    unfinished = folder / f".{name}.unfinished"
    make_private(unfinished)
    try:
        await write(unfinished)
        keep(unfinished, folder / name)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    return folder / name
