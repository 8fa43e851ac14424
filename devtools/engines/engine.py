"""What `server` must know about a database engine to run it."""

import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from devtools.engines.run_user import RunUser


class EngineUnavailable(Exception):
    """An engine cannot be had in a certain way; the message says why in one line."""


@dataclass(frozen=True)
class Programs:
    """The programs of one engine as they were found or fetched.

    `origin` says where they come from. `root` is the folder of an unpacked copy, None for a copy that was
    installed by other means and therefore finds its own files.
    """

    version: str
    origin: str
    server: Path
    root: Path | None = None


class Engine(Protocol):
    """One engine with its programs chosen."""

    @property
    def name(self) -> str:
        """The engine in one lower-case word, as in folders."""

    @property
    def title(self) -> str:
        """The engine as people write it."""

    @property
    def programs(self) -> Programs:
        """What runs."""

    @property
    def run_user(self) -> RunUser | None:
        """The account it must run under, None for our own."""

    @property
    def lock_name(self) -> str | None:
        """The file of its data folder that names its process and keeps a second one off, if it has such a file."""

    @property
    def stop_signal(self) -> signal.Signals:
        """The signal that ends it cleanly without waiting for clients."""

    def environment(self) -> dict[str, str]:
        """Variables its programs need beside the inherited ones."""

    def creation(self, data: Path) -> list[str]:
        """The command that fills an empty data folder."""

    def command(self, data: Path, sockets: Path, *, durable: bool) -> list[str]:
        """The command that serves `data` on a unix socket in `sockets`, and on nothing else."""

    def answers(self, sockets: Path) -> bool:
        """Whether it accepts sessions now."""

    def url(self, sockets: Path, database: str = "") -> str:
        """The SQLAlchemy URL of a database, or of the server when none is named."""


def library_path(root: Path | None) -> dict[str, str]:
    """Lets programs of an unpacked copy find their libraries; an installed one needs nothing.

    Only for copies from the machine's own release, which run on the machine's own C library.
    """
    if root is None:
        return {}
    folders = sorted({found.parent for found in root.glob("**/lib/*-linux-*/*.so*")})
    return {"LD_LIBRARY_PATH": ":".join(map(str, folders))}
