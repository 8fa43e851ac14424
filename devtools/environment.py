"""The checkout's own virtual environment: equal to the lock, made without pip, ensurepip or root.

Runs before any dependency is there, so it may import the standard library and its like only.
"""

import fcntl
import hashlib
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

from devtools.console import progress, say, show
from devtools.engines import apt, cache
from devtools.engines.engine import EngineUnavailable

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
PYTHON = VENV / "bin/python"
# Where .venv is activated, `sys.executable` lies in the folder that is about to be made anew.
BASE_PYTHON = Path(sys.base_prefix, "bin", f"python3.{sys.version_info.minor}")
LOCK = ROOT / "requirements/dev.txt"
STAMP = VENV / "holdfast.json"
LOOPBACK = "127.0.0.1,localhost"


def enter() -> None:
    """Prepares the environment, then becomes the command."""
    if sys.argv[1:] in ([], ["help"], ["--help"], ["-h"]):
        _list_commands()
        return
    with Path(__file__).open() as door:
        # Two commands at once would otherwise build one environment twice.
        fcntl.flock(door, fcntl.LOCK_EX)
        _prepare()
    os.chdir(ROOT)
    os.environ["PATH"] = f"{VENV / 'bin'}:{os.environ.get('PATH', '')}"
    # A ^C while the new interpreter starts waits until the command can end properly.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    os.execv(PYTHON, [str(PYTHON), "-m", "devtools", *sys.argv[1:]])


def bypass_proxy() -> None:
    """Has this process, and those it starts, ask no proxy for what is on this machine: gRPC would, unless told."""
    given = os.environ.get("no_proxy") or os.environ.get("NO_PROXY")
    os.environ["no_proxy"] = f"{given},{LOOPBACK}" if given else LOOPBACK


def _list_commands() -> None:
    """Prints what the Makefile says of each target."""
    show("make TARGET, or ./dev TARGET:\n")
    makefile = (ROOT / "Makefile").read_text()
    for target, meaning in re.findall(r"^([\w-]+):\s+## (.+)$", makefile, re.MULTILINE):
        say(f"{target:17} {meaning}")


def _prepare() -> None:
    """Makes the environment equal to the lock; does nothing where it is already."""
    wanted = {"lock": f"{_digest(LOCK)} {BASE_PYTHON}", "project": _digest(ROOT / "pyproject.toml")}
    made = json.loads(STAMP.read_text()) if STAMP.exists() else {}
    if made == wanted and PYTHON.exists():
        return
    if made.get("lock") != wanted["lock"]:
        say("making .venv, once for each state of the lock")
        _make_environment()
        _install("installing what the lock names", "--require-hashes", "-r", str(LOCK))
    _install("installing holdfast itself", "--no-deps", "--no-build-isolation", "-e", str(ROOT))
    STAMP.write_text(json.dumps(wanted))


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _make_environment() -> None:
    """Makes an empty environment with pip in it, fetched privately where Python came without."""
    if importlib.util.find_spec("venv") is None:
        sys.exit("This Python has no module venv: install the package python3-venv and try again.")
    if importlib.util.find_spec("ensurepip"):
        _run([str(BASE_PYTHON), "-m", "venv", "--clear", str(VENV)])
        return
    try:
        wheels = cache.versioned(cache.shared_cache() / "engines", "pip", _fetch_pip)
    except EngineUnavailable as reason:
        sys.exit(f"This Python has no pip ({reason}): install the package python3-venv and try again.")
    wheel = next(wheels.glob("**/pip-*.whl"))
    _run([str(BASE_PYTHON), "-m", "venv", "--clear", "--without-pip", str(VENV)])
    _run([str(PYTHON), f"{wheel}/pip", "install", "--quiet", "--no-index", str(wheel)])


def _fetch_pip(folder: Path) -> str:
    apt.unpack("pip", ["python3-pip-whl"], folder)
    return next(folder.glob("**/pip-*.whl")).name.split("-")[1]


def _install(what: str, *arguments: str) -> None:
    """Runs pip with progress."""
    command = [str(PYTHON), "-m", "pip", "install", "--no-input", "--disable-pip-version-check", *arguments]
    total, arrived, printed = max(LOCK.read_text().count("=="), 1), 0, []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as pip:
        for line in pip.stdout or ():
            printed.append(line)
            if line.startswith("Collecting "):
                arrived += 1
                progress(what, arrived, total)
    if pip.returncode:
        sys.exit("".join(printed[-20:]) + f"{what} failed")
    say(f"{what}: done")


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
