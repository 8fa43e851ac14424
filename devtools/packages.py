"""Packages that only a measurement or a test needs: fetched once into the shared cache, never installed."""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from devtools.console import say
from devtools.engines import cache
from devtools.environment import ROOT

OLDEST_NODE = 20


class PackagesUnavailable(Exception):
    """Packages cannot be had; the message says why."""


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
    """The one of this machine, else the one that a Python wheel carries. Raises PackagesUnavailable."""
    found, npm = shutil.which("node"), shutil.which("npm")
    if found and npm and int(printed([found, "--version"]).lstrip("v").split(".")[0]) >= OLDEST_NODE:
        return Node(Path(found), [npm], "installed here")
    folder = python_packages(ROOT / "requirements/node.txt")
    program = next(folder.glob("**/bin/node"), None)
    script = next(folder.glob("**/npm/bin/npm-cli.js"), None)
    if program is None or script is None:
        raise PackagesUnavailable("the wheel of Node.js brings no node and npm for this machine")
    program.chmod(0o755)
    return Node(program, [program, script], "the Python wheel's")


def node_packages(name: str, locked: Path, node: Node) -> Path:
    """A folder whose node_modules hold what package-lock.json of the folder `locked` names.

    Raises PackagesUnavailable.
    """

    def fill(folder: Path) -> None:
        for each in ("package.json", "package-lock.json"):
            shutil.copy(locked / each, folder)
        # Scripts of packages are not run.
        options = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        _install([*node.npm, "ci", *options], folder, {"PATH": f"{node.node.parent}:{os.environ['PATH']}"})

    return _fetched(name, locked / "package-lock.json", fill)


def python_packages(lock: Path) -> Path:
    """A folder with what a lock names, for PYTHONPATH. Raises PackagesUnavailable."""

    def fill(folder: Path) -> None:
        options = ["--quiet", "--no-input", "--disable-pip-version-check", "--no-deps", "--require-hashes"]
        _install(
            [sys.executable, "-m", "pip", "install", *options, "--target", folder, "-r", lock], folder, {}
        )

    return _fetched(lock.stem, lock, fill)


def printed(command: Sequence[str | Path]) -> str:
    """The first line that a command prints."""
    done = subprocess.run(command, capture_output=True, text=True)
    return (done.stdout.splitlines() or [""])[0]


def _fetched(name: str, lock: Path, fill: Callable[[Path], None]) -> Path:
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()[:12]
    folder = cache.shared_cache() / "packages" / f"{name}-{digest}"
    if not folder.is_dir():
        say(f"fetching {name} into {folder}, once for each state of its lock")
    return cache.completed(folder, fill)


def _install(command: Sequence[str | Path], folder: Path, environment: dict[str, str]) -> None:
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, env=os.environ | environment
        )
    except OSError as failure:
        raise PackagesUnavailable(str(failure)) from failure
    if done.returncode:
        said = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        raise PackagesUnavailable(" ".join(said[-3:]) or f"{command[0]} ended with {done.returncode}")
