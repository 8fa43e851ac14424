"""Runs one private database server: its data in a folder of its own, reachable by one unix socket only."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from devtools import processes
from devtools.engines import cache
from devtools.engines.engine import Engine

START_SECONDS = 60
# Engines abort when the path of their socket is longer than 107 bytes; theirs and ours take about 35 of them.
LONGEST_SOCKET_FOLDER = 70


class ServerFailed(Exception):
    """A server did not come up; the message ends with the last lines of its log."""


@dataclass(frozen=True)
class Server:
    """A server of `engine` with everything it keeps under `home`.

    Starting and stopping may happen in different processes: what runs is written down in `home`.
    A server that is not `durable` is faster and may lose data with the machine, never with its process.
    """

    engine: Engine
    home: Path
    durable: bool = True

    @property
    def pid(self) -> int | None:
        """The id of its process, None while it is stopped."""
        process = processes.recall(self._process_file)
        return process.pid if process else None

    @property
    def log(self) -> Path:
        """What it printed."""
        return self.home / "server.log"

    def describe(self) -> str:
        """Says what it is in one line."""
        return f"{self.engine.title} {self.engine.programs.version} ({self.engine.programs.origin})"

    def url(self, database: str = "") -> str:
        """The URL of a database, or of the server; it stays the same over restarts of the server."""
        return self.engine.url(self._sockets.resolve(), database)

    def start(self) -> None:
        """Starts it unless it runs, with new data if it has none; returns when it accepts sessions."""
        self._prepare_home()
        process = processes.recall(self._process_file)
        if process is None:
            for leftover in self._sockets.resolve().iterdir():
                # A killed server leaves its socket's lock behind, which would stop the next one.
                leftover.unlink()
            command = self.engine.command(self._data, self._sockets.resolve(), durable=self.durable)
            process = processes.spawn(
                command, log=self.log, environment=self.engine.environment(), user=self.engine.run_user
            )
            process.remember(self._process_file)
        deadline = time.monotonic() + START_SECONDS
        while not self.engine.answers(self._sockets.resolve()):
            if not process.alive or time.monotonic() > deadline:
                process.stop(signal.SIGKILL)
                raise ServerFailed(
                    f"{self.describe()} did not start; {self.log} ends with\n{self._last_words()}"
                )
            time.sleep(processes.POLL_SECONDS)

    def stop(self) -> None:
        """Ends it cleanly and keeps its data."""
        self._end(self.engine.stop_signal)

    def kill(self) -> None:
        """Ends it as a crash would, and keeps its data."""
        self._end(signal.SIGKILL)

    def discard(self) -> None:
        """Ends it at once and forgets its data."""
        self.kill()
        shutil.rmtree(self._sockets.resolve(), ignore_errors=True)
        shutil.rmtree(self.home, ignore_errors=True)

    @property
    def _data(self) -> Path:
        return self.home / "data"

    @property
    def _sockets(self) -> Path:
        """A link to the folder of the socket, whose own path must be short."""
        return self.home / "sockets"

    @property
    def _process_file(self) -> Path:
        return self.home / "process.json"

    def _end(self, number: signal.Signals) -> None:
        if process := processes.recall(self._process_file):
            process.stop(number)
        self._process_file.unlink(missing_ok=True)

    def _prepare_home(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        user = self.engine.run_user
        if user:
            user.own(self.home)
        if not self._data.exists():
            _copy(_template(self.engine), self._data)
        sockets = self._sockets.resolve()
        if not sockets.is_dir() or sockets.stat().st_uid != (user.uid if user else os.geteuid()):
            self._sockets.unlink(missing_ok=True)
            self._sockets.symlink_to(_short_folder(self.engine))

    def _last_words(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-12:])


def _template(engine: Engine) -> Path:
    """Returns a prepared data folder of this version: copying it takes a tenth of the time of creating one."""

    def fill(folder: Path) -> None:
        if engine.run_user:
            engine.run_user.own(folder)
        command = engine.creation(folder / "data")
        if output := processes.run_as(engine.run_user, command, engine.environment()):
            raise ServerFailed(f"{engine.title} could not create its data folder:\n{output}")
        # Every copy must make its own identity.
        (folder / "data/auto.cnf").unlink(missing_ok=True)

    templates = cache.shared_cache(engine.run_user) / "templates"
    return cache.completed(templates / f"{engine.name}-{engine.programs.version}", fill) / "data"


def _copy(source: Path, target: Path) -> None:
    partial = target.with_name("data.partial")
    shutil.rmtree(partial, ignore_errors=True)
    subprocess.run(["cp", "-a", "--reflink=auto", source, partial], check=True)
    partial.rename(target)


def _short_folder(engine: Engine) -> Path:
    """Makes a folder for the socket that only the server's account can enter, with a short path."""
    usual = tempfile.gettempdir()
    reachable = engine.run_user is None or engine.run_user.can_enter(Path(usual))
    place = usual if reachable and len(usual) <= LONGEST_SOCKET_FOLDER else "/tmp"
    folder = Path(tempfile.mkdtemp(prefix="hf-", dir=place))
    if engine.run_user:
        engine.run_user.own(folder)
    return folder
