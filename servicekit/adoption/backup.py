"""The file of a backup, which has its name once it is whole."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryFile

from servicekit.durable_files import keep, make_private


class BackupFailed(Exception):
    """There is no backup, or none that could be used; the message says what to do."""


def refuse_folder(folder: Path) -> None:
    """Raises BackupFailed unless files can be made in the folder, or in one made there; leaves nothing behind."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        why = f"cannot take the backup and the reports: {error.strerror}"
        raise BackupFailed(f"{folder} {why}; name another folder with --backup") from error
    finally:
        for path in missing:
            with suppress(OSError):
                path.rmdir()


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
