"""The contracts' style: names, comments, format."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.contracts.stubs import ROOT

BUF = str(Path(sys.executable).parent / "buf")
OPS = "protos/holdfast/ops/v1/ops.proto"


def buf(folder: Path, *words: str) -> tuple[int, str]:
    run = subprocess.run([BUF, *words], cwd=folder, capture_output=True, text=True)
    return run.returncode, run.stdout + run.stderr


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The contracts, to be broken."""
    shutil.copytree(ROOT / "protos", tmp_path / "protos")
    shutil.copy(ROOT / "buf.yaml", tmp_path)
    return tmp_path


def test_the_contracts_are_clean() -> None:
    assert buf(ROOT, "lint") == (0, "")
    assert buf(ROOT, "format", "--diff", "--exit-code") == (0, "")


@pytest.mark.parametrize(
    ("comment", "what"),
    [
        ("// Diagnosis and repair with nothing but grpcurl.\n", "Service"),
        (
            "  // Says which build answers, on which engine, with which settings. Secrets are never part of it.\n",
            "RPC",
        ),
        ("// The build, the engine and the settings that answer.\n", "Message"),
        ("  // The version of the holdfast distribution.\n", "Field"),
        ("// How bad a diagnosis is.\n", "Enum"),
        ("  // As it should be.\n", "Enum value"),
    ],
)
def test_a_missing_comment_is_found(copy: Path, comment: str, what: str) -> None:
    contract = copy / OPS
    text = contract.read_text()
    assert text.count(comment) == 1
    contract.write_text(text.replace(comment, ""))

    code, complaint = buf(copy, "lint")

    assert code != 0
    assert what in complaint and "comment" in complaint


def test_a_name_against_the_rules_is_found(copy: Path) -> None:
    contract = copy / OPS
    contract.write_text(contract.read_text().replace("string engine_version = 7", "string engineVersion = 7"))

    assert buf(copy, "lint")[0] != 0


def test_a_contract_out_of_format_is_found(copy: Path) -> None:
    contract = copy / OPS
    contract.write_text(contract.read_text().replace("  // As it should be.", "      // As it should be."))

    assert buf(copy, "format", "--diff", "--exit-code")[0] != 0
