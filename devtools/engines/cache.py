"""Folders that all checkouts of a user share: unpacked engines and prepared data folders.

A folder under its final name is complete: it is filled under another name while a lock is held, then renamed.
The lock belongs to the process, so one that was killed leaves nothing that blocks the next.
"""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from devtools.engines.run_user import RunUser

# Root's own cache is usually in a home that no other account may enter.
SYSTEM_CACHE = Path("/var/cache")


def shared_cache(user: RunUser | None = None) -> Path:
    """Returns the cache folder; for a run user who cannot enter the usual one, a folder that he can."""
    chosen = os.environ.get("HOLDFAST_CACHE") or os.environ.get("XDG_CACHE_HOME")
    base = Path(chosen).absolute() if chosen else Path.home() / ".cache"
    if user is not None and not user.can_enter(base / "holdfast"):
        base = SYSTEM_CACHE
    return base / "holdfast"


def versioned(parent: Path, name: str, fill: Callable[[Path], str]) -> Path:
    """Returns the folder `<name>-<version>`, the newest there is.

    Where there is none, `fill` makes it in an empty folder and returns the version.
    """
    with _filling(parent / name) as partial:
        return _newest(parent, name) or partial.rename(parent / f"{name}-{fill(partial)}")


def completed(folder: Path, fill: Callable[[Path], None]) -> Path:
    """Returns `folder`, which `fill` makes in an empty one where it does not exist."""
    with _filling(folder) as partial:
        if folder.is_dir():
            return folder
        fill(partial)
        return partial.rename(folder)


@contextmanager
def _filling(folder: Path) -> Iterator[Path]:
    """Holds the folder's lock and gives an empty folder to fill; what a killed process left in it is gone."""
    # Root's shell may have a umask that locks the run user out.
    umask = os.umask(0o022)
    partial = Path(f"{folder}.partial")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with Path(f"{folder}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
            try:
                yield partial
            finally:
                shutil.rmtree(partial, ignore_errors=True)
    finally:
        os.umask(umask)


def _newest(parent: Path, name: str) -> Path | None:
    found = sorted(parent.glob(f"{name}-[0-9]*"), key=lambda folder: folder.stat().st_mtime)
    return found[-1] if found else None
