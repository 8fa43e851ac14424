"""The peers' packages: fetched once into the cache that all checkouts of a user share, never installed."""

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from devtools.console import say
from devtools.engines import cache
from devtools.environment import BASE_PYTHON, PYTHON

PROGRAMS = Path(__file__).parent / "programs"
OLDEST_NODE = 20


class PeerUnavailable(Exception):
    """A peer cannot take part; the message says why."""


@dataclass(frozen=True)
class Node:
    """A Node.js with its npm."""

    node: Path
    npm: Sequence[str | Path]
    origin: str

    @property
    def version(self) -> str:
        """Such as "20.20.2"."""
        return printed([self.node, "--version"]).lstrip("v")


def node() -> Node:
    """The one of this machine, else the one that a Python wheel carries. Raises PeerUnavailable."""
    found, npm = shutil.which("node"), shutil.which("npm")
    if found and npm and int(printed([found, "--version"]).lstrip("v").split(".")[0]) >= OLDEST_NODE:
        return Node(Path(found), [npm], "installed here")
    folder = python_packages("node")
    program = next(folder.glob("**/bin/node"), None)
    script = next(folder.glob("**/npm/bin/npm-cli.js"), None)
    if program is None or script is None:
        raise PeerUnavailable("the wheel of Node.js brings no node and npm for this machine")
    program.chmod(0o755)
    return Node(program, [program, script], "the Python wheel's")


def node_packages(node: Node) -> Path:
    """A folder whose node_modules hold what programs/package-lock.json names. Raises PeerUnavailable."""

    def fill(folder: Path) -> None:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(PROGRAMS / name, folder)
        # Scripts of packages are not run: none of them is needed to reserve stock.
        options = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        _install([*node.npm, "ci", *options], folder, {"PATH": f"{node.node.parent}:{os.environ['PATH']}"})

    return _fetched("medusa", PROGRAMS / "package-lock.json", fill)


def python_packages(name: str) -> Path:
    """A folder with what programs/<name>.txt names, for PYTHONPATH. Raises PeerUnavailable."""
    lock = PROGRAMS / f"{name}.txt"

    def fill(folder: Path) -> None:
        options = ["--quiet", "--no-input", "--disable-pip-version-check", "--no-deps", "--require-hashes"]
        _install([PYTHON, "-m", "pip", "install", *options, "--target", folder, "-r", lock], folder, {})

    return _fetched(name, lock, fill)


def python_program(name: str) -> list[str | Path]:
    """The command that runs programs/<name>.py from the checkout, without the packages of the checkout's own."""
    return [BASE_PYTHON, "-s", "-B", "-m", f"benchmarks.peers.programs.{name}"]


def version(folder: Path, package: str) -> str:
    """The version of a package in a folder of `python_packages`."""
    found = next(folder.glob(f"{package.replace('-', '_')}-*.dist-info"))
    return found.name.removesuffix(".dist-info").rpartition("-")[2]


def printed(command: Sequence[str | Path]) -> str:
    """The first line that a command prints."""
    done = subprocess.run(command, capture_output=True, text=True)
    return (done.stdout.splitlines() or [""])[0]


def _fetched(name: str, lock: Path, fill: Callable[[Path], None]) -> Path:
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()[:12]
    folder = cache.shared_cache() / "peers" / f"{name}-{digest}"
    if not folder.is_dir():
        say(f"fetching {name} into {folder}, once for each state of its lock")
    return cache.completed(folder, fill)


def _install(command: Sequence[str | Path], folder: Path, environment: dict[str, str]) -> None:
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, env=os.environ | environment
        )
    except OSError as failure:
        raise PeerUnavailable(str(failure)) from failure
    if done.returncode:
        said = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        raise PeerUnavailable(" ".join(said[-3:]) or f"{command[0]} ended with {done.returncode}")
