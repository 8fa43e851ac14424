"""Whether photos can be kept, on a disk that is full, and where nothing can be written."""

from pathlib import Path

from delivery_service.gateways import photo_store_probe as module
from delivery_service.gateways.photo_store import FsspecPhotoStore
from delivery_service.gateways.photo_store_probe import photo_store_probe
from servicekit.diagnostics import Severity


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


async def test_a_store_with_room_is_fine_and_keeps_nothing_of_the_probe(tmp_path: Path) -> None:
    found = await photo_store_probe(FsspecPhotoStore(str(tmp_path)))()

    assert found.severity is (Severity.OK if "about to be full" not in found.description else Severity.WARN)
    assert "takes writes" in found.description
    assert files(tmp_path) == []


async def test_a_store_that_is_no_folder_does_not_tell_its_room() -> None:
    found = await photo_store_probe(FsspecPhotoStore("memory://probed"))()

    assert (found.severity, found.next_command) == (Severity.OK, "")
    assert "does not tell how much room is left" in found.description


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
