"""The contracts' style, and what they promised when they were last released."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from devtools.checks import COMPATIBLE, RELEASED, release_contracts
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
    assert buf(ROOT, *COMPATIBLE[1:]) == (0, "")


@pytest.mark.parametrize(
    ("comment", "what"),
    [
        ("// Diagnosis and repair with nothing but grpcurl.\n", "Service"),
        (
            "  // Says which build answers, on which engine, with which settings. Secrets are never part of it.\n"
            "  // Errors: OVERLOADED (many operators ask at once).\n",
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


@pytest.mark.parametrize(
    ("promised", "instead", "told"),
    [
        ("string engine_version = 7;", "string engine_release = 7;", "engine_version"),
        ("string engine_version = 7;", "bytes engine_version = 7;", 'from "string" to "bytes"'),
        ("string engine_version = 7;", "string engine_version = 77;", '"7"'),
        ("rpc ListOutbox(", "rpc ListOutboxes(", "ListOutbox"),
        ("returns (stream ReconcileResponse)", "returns (ReconcileResponse)", "streaming"),
        ("OUTBOX_STATE_PARKED = 4", "OUTBOX_STATE_PUT_ASIDE = 4", "OUTBOX_STATE_PARKED"),
        ("package holdfast.ops.v1;", "package holdfast.ops.v2;", "holdfast.ops.v1"),
    ],
)
def test_a_promise_taken_back_is_found_without_any_history(
    copy: Path, promised: str, instead: str, told: str
) -> None:
    contract = copy / OPS
    text = contract.read_text()
    assert text.count(promised) == 1
    contract.write_text(text.replace(promised, instead))

    code, complaint = buf(copy, *COMPATIBLE[1:])

    assert code != 0
    assert told in complaint


def test_a_further_field_breaks_no_promise_and_is_one_once_it_is_released(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(copy)
    monkeypatch.setenv("PATH", str(Path(BUF).parent), prepend=os.pathsep)
    contract = copy / OPS
    before = contract.read_text()
    field = "  string engine_version = 7;\n"
    contract.write_text(before.replace(field, f"{field}  // More of it.\n  string engine_edition = 70;\n"))

    assert buf(copy, *COMPATIBLE[1:]) == (0, "")
    assert release_contracts() == 0

    contract.write_text(before)
    released = RELEASED.read_bytes()
    assert release_contracts() != 0
    assert RELEASED.read_bytes() == released
