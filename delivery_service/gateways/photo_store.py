"""Photos in a folder, a bucket, or whatever else fsspec reaches by a URL."""

import asyncio
import errno
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any, Self, TypeVar

import structlog
from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

from delivery_service.application.photo_ports import KeptPhoto
from delivery_service.domain.errors import StorageFull, StorageUnavailable
from delivery_service.gateways.durable_file import write_durably

THREADS = 8
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# Each kind of store has its own word for when a file was written.
_TIMES = ("mtime", "LastModified", "last_modified", "created")

T = TypeVar("T")
log = structlog.get_logger("photo_store")


class FsspecPhotoStore:
    """Photos under names of two parts, `folder/name`; every method raises StorageUnavailable."""

    def __init__(self, url: str) -> None:
        """A path or file:// is a local folder, s3://bucket/prefix a bucket, memory:// lasts as long as the process."""
        # Listings are of now: what another process put or removed must be seen.
        self._files, root = url_to_fs(url, use_listings_cache=False)
        self._root = root.rstrip("/")
        # Of its own, so that a store that hangs holds up photos only.
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="photos")

    async def put(self, name: str, content: bytes) -> None:
        """Keeps the bytes for good: an end at any moment leaves the whole photo or none of that name.

        Raises StorageFull.
        """
        await self._run(self._put, name, content)

    async def get(self, name: str) -> bytes | None:
        """The bytes under this name, whatever they are by now; None where there are none."""
        return await self._run(self._get, name)

    async def remove(self, name: str) -> None:
        """Takes a photo away for good; nothing where it is away already."""
        await self._run(self._remove, name)

    async def list_folder(self, folder: str) -> list[KeptPhoto]:
        """What is in one folder, unfinished files too."""
        return await self._run(self._list, folder)

    async def free_bytes(self) -> int | None:
        """How much room is left; None where the store does not tell."""
        return await self._run(self._free)

    def local_folder(self) -> Path | None:
        """Where the photos lie; None where that is on no disk of this machine."""
        return Path(self._root) if isinstance(self._files, LocalFileSystem) else None

    def aside(self) -> Self:
        """The same store over a thread of its own, for who must not wait behind photos."""
        aside = copy(self)
        aside._threads = ThreadPoolExecutor(1, thread_name_prefix="beside-photos")
        return aside

    async def _run(self, work: Callable[..., T], *given: Any) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work, *given)
        except Exception as error:
            # Stores meet their troubles with all kinds of exceptions.
            if isinstance(error, OSError) and error.errno in _FULL:
                raise StorageFull from error
            # Only the kind of error: a store's own words may name its keys.
            log.warning("the store of photos failed", work=work.__name__, error=type(error).__name__)
            raise StorageUnavailable from error

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"

    def _put(self, name: str, content: bytes) -> None:
        if isinstance(self._files, LocalFileSystem):
            write_durably(Path(self._root), name, content)
        else:
            # An object store answers once the whole object is safe, and shows none before.
            self._files.pipe_file(self._path(name), content)

    def _get(self, name: str) -> bytes | None:
        try:
            content: bytes = self._files.cat_file(self._path(name))
        except FileNotFoundError:
            return None
        return content

    def _remove(self, name: str) -> None:
        try:
            self._files.rm_file(self._path(name))
        except FileNotFoundError:
            return

    def _free(self) -> int | None:
        folder = self.local_folder()
        return shutil.disk_usage(folder).free if folder else None

    def _list(self, folder: str) -> list[KeptPhoto]:
        try:
            found = self._files.find(self._path(folder), detail=True)
        except FileNotFoundError:
            return []
        return [
            KeptPhoto(f"{folder}/{PurePosixPath(path).name}", _written(facts))
            for path, facts in found.items()
        ]


def _written(facts: dict[str, Any]) -> datetime:
    """When a file was written last; now where the store does not say, for what has no age is never old."""
    time = next((facts[name] for name in _TIMES if facts.get(name) is not None), None)
    if isinstance(time, int | float):
        return datetime.fromtimestamp(time, UTC)
    if isinstance(time, datetime):
        return time if time.tzinfo else time.replace(tzinfo=UTC)
    return datetime.now(UTC)
