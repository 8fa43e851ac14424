"""Photos in a folder, in memory, in a bucket: one contract, held by each store."""

import asyncio
import hashlib
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import s3fs
from moto.server import ThreadedMotoServer
from structlog.testing import capture_logs

from delivery_service.application.sweep_evidence import UNFINISHED
from delivery_service.domain.errors import StorageFull, StorageUnavailable
from delivery_service.gateways import durable_file
from delivery_service.gateways.photo_store import FsspecPhotoStore

ROOT = Path(__file__).resolve().parents[3]
CONTENT = b"the bytes of a photo" * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
NAME = f"{SHA256[:2]}/{SHA256}.one"
BUCKET = "photos"


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """A server that speaks S3 over HTTP, with one bucket; answers its URL."""
    server = ThreadedMotoServer("127.0.0.1", 0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(params=["folder", "memory", "s3"])
def url(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty store of each kind."""
    if request.param == "folder":
        return str(tmp_path / "new" / "folder")
    if request.param == "memory":
        return f"memory://{uuid.uuid4().hex}"
    as_environment(request.getfixturevalue("s3"), monkeypatch)
    files = s3fs.S3FileSystem()
    if not files.exists(BUCKET):
        files.mkdir(BUCKET)
    return f"s3://{BUCKET}/{uuid.uuid4().hex}"


def as_environment(s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """How an operator names the server and its keys."""
    for name, value in {
        "AWS_ENDPOINT_URL": s3,
        "AWS_ACCESS_KEY_ID": "tests",
        "AWS_SECRET_ACCESS_KEY": "tests",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)


async def test_what_is_put_is_there_for_every_replica(url: str) -> None:
    store = FsspecPhotoStore(url)

    await asyncio.gather(*(store.put(NAME, CONTENT) for _ in range(5)))

    assert await store.get(NAME) == CONTENT
    assert await FsspecPhotoStore(url).get(NAME) == CONTENT


async def test_what_is_put_again_is_what_is_there(url: str) -> None:
    store = FsspecPhotoStore(url)
    await store.put(NAME, b"damaged")

    await store.put(NAME, CONTENT)

    assert await store.get(NAME) == CONTENT


async def test_what_was_never_put_is_not_there(url: str) -> None:
    store = FsspecPhotoStore(url)

    assert await store.get(NAME) is None
    assert await store.list_folder("ab") == []
    await store.remove(NAME)


async def test_a_folder_lists_its_names_with_their_times(url: str) -> None:
    store = FsspecPhotoStore(url)
    await store.put("ab/one", b"1")
    assert len(await store.list_folder("ab")) == 1
    await FsspecPhotoStore(url).put("ab/two", b"2")
    await store.put("cd/three", b"3")

    listed = await store.list_folder("ab")

    assert sorted(photo.name for photo in listed) == ["ab/one", "ab/two"]
    for photo in listed:
        assert abs(datetime.now(UTC) - photo.write_time) < timedelta(seconds=30)


async def test_what_is_removed_is_gone(url: str) -> None:
    store = FsspecPhotoStore(url)
    await store.put("ab/one", b"1")
    await store.put("ab/two", b"2")

    await store.remove("ab/one")

    assert await store.get("ab/one") is None
    assert [photo.name for photo in await store.list_folder("ab")] == ["ab/two"]


async def test_a_bucket_that_is_not_there_is_a_clear_refusal(
    s3: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_environment(s3, monkeypatch)

    with capture_logs() as logs, pytest.raises(StorageUnavailable):
        await FsspecPhotoStore("s3://nowhere/photos").put(NAME, CONTENT)
    assert [(entry["work"], entry["error"]) for entry in logs] == [("_put", "FileNotFoundError")]


async def test_files_are_for_this_user_only(tmp_path: Path) -> None:
    await FsspecPhotoStore(str(tmp_path)).put(NAME, CONTENT)

    (file,) = files(tmp_path)
    assert (file.name, file.stat().st_mode & 0o777) == (f"{SHA256}.one", 0o600)


async def test_a_full_disk_is_a_clear_refusal_and_leaves_nothing_half_done(small_disk: Path) -> None:
    store = FsspecPhotoStore(str(small_disk))
    await store.put("ab/fits", b"x" * 150_000)

    with pytest.raises(StorageFull):
        await store.put("cd/fits.not", b"y" * 150_000)

    assert [file.name for file in files(small_disk)] == ["fits"]
    assert await store.get("cd/fits.not") is None
    await store.remove("ab/fits")
    await store.put("cd/fits.not", b"y" * 150_000)


async def test_a_folder_that_cannot_be_written_to_is_a_clear_refusal(tmp_path: Path) -> None:
    (tmp_path / SHA256[:2]).write_text("a file where a folder should be")

    with pytest.raises(StorageUnavailable):
        await FsspecPhotoStore(str(tmp_path)).put(NAME, CONTENT)


@pytest.mark.parametrize(
    ("point", "whole"), [("after_temp", False), ("after_fsync", False), ("after_rename", True)]
)
async def test_a_death_at_any_moment_leaves_the_whole_photo_or_none_of_that_name(
    tmp_path: Path, point: str, whole: bool
) -> None:
    script = (
        "import asyncio, sys\n"
        "from delivery_service.gateways.photo_store import FsspecPhotoStore\n"
        "content = b'the bytes of a photo' * 1000\n"
        "asyncio.run(FsspecPhotoStore(sys.argv[1]).put(sys.argv[2], content))\n"
    )
    environment = {**os.environ, "HOLDFAST_CRASH_AT": f"evidence.{point}"}
    died = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", script, str(tmp_path), NAME],
        cwd=ROOT,
        env=environment,
        check=False,
    )
    assert died.returncode == 137

    store = FsspecPhotoStore(str(tmp_path))
    assert await store.get(NAME) == (CONTENT if whole else None)
    await store.put(NAME, CONTENT)
    assert await store.get(NAME) == CONTENT


def test_the_sweep_knows_what_an_unfinished_file_is_called() -> None:
    assert UNFINISHED == durable_file.UNFINISHED


def files(folder: Path) -> list[Path]:
    """Every file below a folder."""
    return [path for path in folder.rglob("*") if path.is_file()]
