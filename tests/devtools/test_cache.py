import multiprocessing
import time
from pathlib import Path

import pytest

from devtools.engines import cache
from devtools.engines.run_user import RunUser


def test_a_folder_is_filled_once_and_then_found(tmp_path: Path) -> None:
    def fill(folder: Path) -> str:
        (folder / "server").touch()
        return "9.7"

    first = cache.versioned(tmp_path, "mysql", fill)
    again = cache.versioned(tmp_path, "mysql", lambda folder: pytest.fail("filled again"))

    assert first == again == tmp_path / "mysql-9.7"
    assert (first / "server").exists()


def test_the_lock_and_the_half_made_folder_of_a_killed_process_are_in_nobodys_way(tmp_path: Path) -> None:
    (tmp_path / "mysql.lock").touch()
    (tmp_path / "mysql.partial").mkdir()
    (tmp_path / "mysql.partial/half").touch()

    made = cache.versioned(tmp_path, "mysql", lambda folder: "9.7")

    assert list(made.iterdir()) == []
    assert not (tmp_path / "mysql.partial").exists()


def test_a_folder_that_could_not_be_filled_does_not_look_complete(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "half").touch()
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):
        cache.completed(tmp_path / "template", fail)

    assert [path.name for path in tmp_path.iterdir()] == ["template.lock"]


def fill_slowly(folder: Path) -> None:
    filled = folder.parent / "count"
    filled.write_text(filled.read_text() + "x" if filled.exists() else "x")
    time.sleep(1)


def fill_in_another_process(folder: Path) -> None:
    cache.completed(folder, fill_slowly)


def test_processes_that_need_the_same_folder_at_once_fill_it_once(tmp_path: Path) -> None:
    fork = multiprocessing.get_context("spawn")
    workers = [fork.Process(target=fill_in_another_process, args=(tmp_path / "template",)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()

    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert (tmp_path / "count").read_text() == "x"


def test_a_run_user_who_cannot_enter_the_cache_gets_another_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOLDFAST_CACHE", str(tmp_path))
    stranger = RunUser("nobody", 65534, 65534)

    for step in (tmp_path, *tmp_path.parents[:-2]):
        step.chmod(0o755)
    assert cache.shared_cache(stranger) == tmp_path / "holdfast"

    tmp_path.chmod(0o700)
    assert cache.shared_cache() == tmp_path / "holdfast"
    assert cache.shared_cache(stranger) == cache.SYSTEM_CACHE / "holdfast"
