"""The checks of a change: style, types, imports, contracts and tests."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from devtools.console import say, show
from devtools.processes import run_here

PROTOS = Path("protos")
# What the last release promised: an image of its contracts, so that no clone needs the history for it.
RELEASED = PROTOS / "released.binpb"
COMPATIBLE = ["buf", "breaking", "--against", str(RELEASED)]

LINTERS = {
    "style": ["ruff", "check", "--quiet"],
    "format": ["ruff", "format", "--check", "--quiet"],
    "types": ["mypy", "--no-error-summary"],
    "imports": ["lint-imports"],
    "contracts": ["buf", "lint"],
    "contracts' format": ["buf", "format", "--diff", "--exit-code"],
    "contracts' promises": COMPATIBLE,
}


def lint() -> int:
    """Runs every linter, also after one failed; prints what the failing ones say."""
    with ThreadPoolExecutor(max_workers=2) as pool:
        results = pool.map(
            lambda command: subprocess.run(command, capture_output=True, text=True), LINTERS.values()
        )
    failed = 0
    for name, result in zip(LINTERS, results, strict=True):
        say(f"{'✗' if result.returncode else '✓'} {name}")
        if result.returncode:
            failed += 1
            show(f"{result.stdout}{result.stderr}\n")
    return 1 if failed else 0


def format_sources() -> int:
    """Formats code and contracts in place."""
    commands = [["ruff", "check", "--fix", "--quiet"], ["ruff", "format"], ["buf", "format", "--write"]]
    return max(subprocess.run(command).returncode for command in commands)


def test(arguments: list[str]) -> int:
    """Runs the tests on both cores; arguments go to pytest."""
    pytest = [sys.executable, "-m", "pytest", "--numprocesses=2", "--dist=loadgroup", "--quiet"]
    # A run starts hundreds of interpreters: what one of them has compiled is there for the next.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return run_here([*pytest, *arguments], environment)


def generate_stubs(into: Path = PROTOS) -> int:
    """Generates the Python stubs of all contracts into a folder, by default beside their sources."""
    outputs = [
        f"--python_out={into}",
        f"--grpc_python_out={into}",
        f"--mypy_out=quiet:{into}",
        # What `grpcurl describe` shows: the contracts with their comments, which Python's stubs leave out.
        "--include_source_info",
        f"--descriptor_set_out={into}/holdfast/contracts.binpb",
        f"--mypy_grpc_out=quiet,generate_concrete_servicer_stubs:{into}",
    ]
    sources = [str(path) for path in sorted(PROTOS.glob("holdfast/**/*.proto"))]
    return subprocess.run(
        [sys.executable, "-m", "grpc_tools.protoc", f"-I{PROTOS}", *outputs, *sources]
    ).returncode


def release_contracts() -> int:
    """Takes the contracts as released: later ones must not break them. Those that break the last ones are refused."""
    commands = [COMPATIBLE, ["buf", "build", "--exclude-source-info", "--output", str(RELEASED)]]
    return next((code for command in commands if (code := subprocess.run(command).returncode)), 0)
