import os
import sys
from pathlib import Path

import pytest

from devtools.checks import generate_stubs
from tests.contracts.stubs import PROTOS, ROOT

ENDINGS = ("_pb2.py", "_pb2.pyi", "_pb2_grpc.py", "_pb2_grpc.pyi")


def generated(folder: Path, endings: tuple[str, ...] = ENDINGS) -> dict[str, bytes]:
    found = [path for ending in endings for path in folder.rglob(f"*{ending}")]
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def test_the_committed_stubs_are_what_the_contracts_generate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)

    (tmp_path / "holdfast").mkdir()

    assert generate_stubs(tmp_path) == 0

    endings = (*ENDINGS, "contracts.binpb")
    committed, current = generated(PROTOS, endings), generated(tmp_path, endings)
    assert sorted(committed) == sorted(current)
    assert [name for name in current if committed[name] != current[name]] == []


def test_every_contract_has_its_stubs() -> None:
    contracts = {path.relative_to(PROTOS).with_suffix("") for path in PROTOS.rglob("*.proto")}

    assert {str(contract).split("/")[1] for contract in contracts} == {"delivery", "inventory", "ops"}
    assert sorted(generated(PROTOS)) == sorted(
        f"{contract}{ending}" for contract in contracts for ending in ENDINGS
    )


def test_nothing_of_ours_stands_among_the_stubs() -> None:
    assert [path for path in PROTOS.glob("holdfast/*/v1/**/*.py") if not path.name.endswith(ENDINGS)] == []
