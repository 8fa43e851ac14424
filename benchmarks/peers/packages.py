"""The peers' own programs, and what of their packages is told."""

from pathlib import Path

from devtools.environment import BASE_PYTHON

PROGRAMS = Path(__file__).parent / "programs"


class PeerUnavailable(Exception):
    """A peer cannot take part; the message says why."""


def python_program(name: str) -> list[str | Path]:
    """The command that runs programs/<name>.py from the checkout, without the packages of the checkout's own."""
    return [BASE_PYTHON, "-s", "-B", "-m", f"benchmarks.peers.programs.{name}"]


def version(folder: Path, package: str) -> str:
    """The version of a package in a folder of `devtools.packages.python_packages`."""
    found = next(folder.glob(f"{package.replace('-', '_')}-*.dist-info"))
    return found.name.removesuffix(".dist-info").rpartition("-")[2]
