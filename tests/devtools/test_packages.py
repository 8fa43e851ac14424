import json
import os
from pathlib import Path

import pytest

from devtools.packages import Node, PackagesUnavailable, node, node_packages, printed

ROOT = Path(__file__).parents[2]
LOCKED = ROOT / "benchmarks/peers/programs"


@pytest.mark.parametrize("folder", [LOCKED, ROOT / "tests/support/node"], ids=lambda folder: str(folder.name))
def test_the_locks_know_every_package_by_its_hash_and_no_place_to_fetch_it_from(folder: Path) -> None:
    wanted = json.loads((folder / "package.json").read_text())
    packages = json.loads((folder / "package-lock.json").read_text())["packages"]
    fetched = {name: facts for name, facts in packages.items() if name}

    assert packages[""]["dependencies"] == wanted["dependencies"]
    assert [name for name, facts in fetched.items() if "integrity" not in facts or "resolved" in facts] == []
    for lock in folder.glob("*.txt"):
        pinned = [block for block in lock.read_text().split("\n") if "==" in block]
        assert pinned, lock
        assert all(block.endswith("\\") for block in pinned), lock
        assert "://" not in lock.read_text(), lock


def test_packages_that_cannot_be_fetched_leave_nothing_that_looks_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOLDFAST_CACHE", str(tmp_path))
    npm = tmp_path / "npm"
    npm.write_text("#!/bin/sh\nmkdir node_modules\necho 'no such package' >&2\nexit 1\n")
    npm.chmod(0o755)

    with pytest.raises(PackagesUnavailable, match=r"^no such package$"):
        node_packages("peers", LOCKED, Node(Path(os.devnull), [npm], "of a test"))

    assert [path.name for path in (tmp_path / "holdfast/packages").iterdir() if path.is_dir()] == []


def test_a_machine_without_node_takes_the_one_of_the_python_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")

    found = node()

    assert found.origin == "the Python wheel's"
    assert int(found.version.split(".")[0]) >= 20
    assert printed([*found.npm, "--version"]).split(".")[0].isdigit()
