"""Photos on disk, each named by its SHA-256. The one file to replace for object storage."""

import asyncio
import errno
import os
import tempfile
from pathlib import Path

from delivery_service.domain.errors import StorageFull
from servicekit.crash_points import crash_point


class FilePhotoStore:
    """Keeps each photo once, readable by this user only."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def put(self, sha256: str, content: bytes) -> None:
        """Keeps the bytes for good: a crash at any moment leaves the whole file or none of that name.

        Raises StorageFull.
        """
        try:
            await asyncio.to_thread(self._put, sha256, content)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise StorageFull from error
            raise

    async def get(self, sha256: str) -> bytes | None:
        """The bytes under this name, whatever they are by now; None where there is no such file."""
        return await asyncio.to_thread(self._get, sha256)

    def _path(self, sha256: str) -> Path:
        return self._folder / sha256[:2] / sha256

    def _put(self, sha256: str, content: bytes) -> None:
        path = self._path(sha256)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # mkstemp makes the file 0600, and renaming keeps that.
        handle, temporary = tempfile.mkstemp(prefix=".new-", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                crash_point("evidence.after_temp")
                os.fsync(file.fileno())
            crash_point("evidence.after_fsync")
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        # The name is durable only once the folders are.
        _sync(path.parent)
        _sync(self._folder)
        crash_point("evidence.after_rename")

    def _get(self, sha256: str) -> bytes | None:
        try:
            return self._path(sha256).read_bytes()
        except FileNotFoundError:
            return None


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
