"""A copy of this checkout that only its owner may enter, and what runs in it."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from devtools.stack.databases import home

ROOT = Path(__file__).resolve().parents[2]
LEFT_OUT = shutil.ignore_patterns(".git", ".venv", ".local", ".cache", ".*_cache", "__pycache__", "tests")
DATABASE_URLS = ("INVENTORY_DATABASE_URL", "DELIVERY_DATABASE_URL")


class PrivateCheckout:
    """The copy; commands in it run as `./dev` would run them."""

    def __init__(self, parent: Path) -> None:
        parent.chmod(0o700)
        self.root = parent / "holdfast"
        shutil.copytree(ROOT, self.root, ignore=LEFT_OUT)

    def run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Runs one development command to its end, with some variables beside the usual ones."""
        command = [sys.executable, "-m", "devtools", *arguments]
        return subprocess.run(
            command, cwd=self.root, env=self._usual | variables, capture_output=True, text=True, timeout=300
        )

    def begin(self, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        """Starts one development command, whose output can be read while it runs."""
        command = [sys.executable, "-m", "devtools", *arguments]
        return subprocess.Popen(
            command,
            cwd=self.root,
            env=self._usual | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @property
    def _usual(self) -> dict[str, str]:
        return {name: value for name, value in os.environ.items() if name not in DATABASE_URLS}

    def env(self) -> dict[str, str]:
        """What `.local/env` says."""
        lines = (self.root / ".local/env").read_text().splitlines()
        words = (shlex.split(line) for line in lines)
        return dict(setting.split("=", 1) for export, setting in words if export == "export")

    def pids(self) -> dict[str, int]:
        """The processes that belong to this checkout, by what they are; there is one of each."""
        found = self._processes()
        assert len({name for name, _ in found}) == len(found), found
        return dict(found)

    def _processes(self) -> list[tuple[str, int]]:
        local = self.root / ".local"
        marks = [str(self.root), *(str(home(each, "postgres").folder) for each in (local, local / "demo"))]
        found: dict[int, tuple[int, str]] = {}
        for process in Path("/proc").glob("[0-9]*"):
            try:
                command = (process / "cmdline").read_text().split("\0")
                folder = (process / "cwd").readlink()
                parent = int((process / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            if folder == self.root or any(mark in " ".join(command) for mark in marks):
                found[int(process.name)] = parent, _name(command)
        # A server's own children come and go.
        return [(name, pid) for pid, (parent, name) in found.items() if parent not in found]


def _name(command: list[str]) -> str:
    words = " ".join(command)
    known = ("inventory_service", "delivery_service", "postgres", "mysqld", "mariadbd")
    return next((name for name in known if name in words), words)
