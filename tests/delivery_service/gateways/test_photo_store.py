"""Photos on disk: whole or not at all, under their own name, for this user only."""

import asyncio
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from delivery_service.gateways.photo_store import FilePhotoStore

ROOT = Path(__file__).resolve().parents[3]
CONTENT = b"the bytes of a photo" * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


async def test_what_is_put_is_there_once_and_private(tmp_path: Path) -> None:
    store = FilePhotoStore(tmp_path / "new" / "folder")

    await asyncio.gather(*(store.put(SHA256, CONTENT) for _ in range(5)))

    assert await store.get(SHA256) == CONTENT
    (file,) = files(tmp_path)
    assert (file.name, file.stat().st_mode & 0o777) == (SHA256, 0o600)


async def test_what_was_never_put_is_not_there(tmp_path: Path) -> None:
    assert await FilePhotoStore(tmp_path).get(SHA256) is None


@pytest.mark.parametrize(
    ("point", "whole"), [("after_temp", False), ("after_fsync", False), ("after_rename", True)]
)
async def test_a_death_at_any_moment_leaves_the_whole_photo_or_none_of_that_name(
    tmp_path: Path, point: str, whole: bool
) -> None:
    script = (
        "import asyncio, pathlib, sys\n"
        "from delivery_service.gateways.photo_store import FilePhotoStore\n"
        "content = b'the bytes of a photo' * 1000\n"
        "asyncio.run(FilePhotoStore(pathlib.Path(sys.argv[1])).put(sys.argv[2], content))\n"
    )
    environment = {**os.environ, "HOLDFAST_CRASH_AT": f"evidence.{point}"}
    died = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", script, str(tmp_path), SHA256],
        cwd=ROOT,
        env=environment,
        check=False,
    )
    assert died.returncode == 137

    store = FilePhotoStore(tmp_path)
    assert await store.get(SHA256) == (CONTENT if whole else None)
    await store.put(SHA256, CONTENT)
    assert await store.get(SHA256) == CONTENT


def files(folder: Path) -> list[Path]:
    """Every file below a folder."""
    return [path for path in folder.rglob("*") if path.is_file()]
