"""Whether photos can be kept, on a disk that is full, and where nothing can be written."""

import asyncio
import contextlib
import os
from pathlib import Path

import pytest

from delivery_service.gateways import photo_store_probe as module
from delivery_service.gateways.photo_store import THREADS, FsspecPhotoStore
from delivery_service.gateways.photo_store_probe import photo_store_probe
from servicekit.operations.diagnostics import PROBE_SECONDS, Severity


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


class Store(FsspecPhotoStore):
    """A folder on a disk with so much room, which may forget to take a file away."""

    def __init__(self, folder: Path, free: int = module.LITTLE_BYTES) -> None:
        super().__init__(str(folder))
        self.free = free
        self.removing = asyncio.Event()
        self.removing.set()

    async def free_bytes(self) -> int | None:
        return self.free

    async def remove(self, name: str) -> None:
        if not self.removing.is_set():
            raise asyncio.CancelledError
        await super().remove(name)


@pytest.mark.parametrize(
    ("free", "severity"),
    [
        (module.LITTLE_BYTES, Severity.OK),
        (module.LITTLE_BYTES - 1, Severity.WARN),
        (module.A_PHOTO_BYTES, Severity.WARN),
        (module.A_PHOTO_BYTES - 1, Severity.FAIL),
    ],
)
async def test_a_store_is_as_well_as_it_has_room_and_keeps_nothing_of_the_probe(
    tmp_path: Path, free: int, severity: Severity
) -> None:
    found = await photo_store_probe(Store(tmp_path, free))()

    assert found.severity is severity
    assert f"takes writes, {free >> 20} MiB are free" in found.description
    assert ("about to be full" in found.description) == (severity is not Severity.OK)
    assert files(tmp_path) == []


async def test_what_a_probe_that_was_cut_short_left_the_next_one_takes_away(tmp_path: Path) -> None:
    store = Store(tmp_path)
    probe = photo_store_probe(store)
    store.removing.clear()
    with pytest.raises(asyncio.CancelledError):
        await probe()
    assert len(files(tmp_path)) == 1

    store.removing.set()
    await probe()
    assert files(tmp_path) == []


async def test_a_store_that_is_no_folder_does_not_tell_its_room() -> None:
    found = await photo_store_probe(FsspecPhotoStore("memory://probed"))()

    assert (found.severity, found.next_command) == (Severity.OK, "")
    assert "does not tell how much room is left" in found.description


async def test_a_store_whose_threads_are_all_busy_with_photos_is_told_of_all_the_same(tmp_path: Path) -> None:
    store = FsspecPhotoStore(str(tmp_path))
    os.mkfifo(tmp_path / "slow")
    # Who opens a pipe to read it waits until somebody writes to it.
    reading = [asyncio.ensure_future(store.get("slow")) for _ in range(2 * THREADS)]
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            found = await photo_store_probe(store)()
    finally:
        while not all(photo.done() for photo in reading):
            with contextlib.suppress(OSError):
                os.close(os.open(tmp_path / "slow", os.O_WRONLY | os.O_NONBLOCK))
            await asyncio.sleep(0.01)
        await asyncio.gather(*reading, return_exceptions=True)

    assert "takes writes" in found.description


async def test_a_disk_that_is_full_is_named(small_disk: Path) -> None:
    (small_disk / "probe").mkdir()
    with (small_disk / "filler").open("wb", buffering=0) as filler:
        try:
            while filler.write(b"x" * 4096):
                pass
        except OSError:
            pass

    found = await photo_store_probe(FsspecPhotoStore(str(small_disk)))()

    assert found.severity is Severity.FAIL
    assert found.description == "the store of photos is full: every upload is refused"
    assert found.next_command.startswith("df -h")


async def test_a_disk_with_no_room_for_a_photo_is_named(small_disk: Path) -> None:
    found = await photo_store_probe(FsspecPhotoStore(str(small_disk)))()

    assert found.severity is Severity.FAIL
    assert found.description.endswith("0 MiB are free: it is about to be full")


async def test_a_store_that_takes_no_writes_is_named(tmp_path: Path) -> None:
    (tmp_path / module.FOLDER).write_text("a file where a folder should be")

    found = await photo_store_probe(FsspecPhotoStore(str(tmp_path)))()

    assert found.severity is Severity.FAIL
    assert found.description.startswith("the store of photos cannot be written (")
    assert found.next_command
