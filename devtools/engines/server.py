"""Runs one private database server: its data in a folder of its own, reachable by one unix socket only."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from devtools import processes
from devtools.engines import cache
from devtools.engines.engine import Engine
from devtools.engines.home import Home
from devtools.processes import Process

START_SECONDS = 60
# Engines abort when the path of their socket is longer than 107 bytes; theirs and ours take about 35 of them.
LONGEST_SOCKET_FOLDER = 70


class ServerFailed(Exception):
    """A server did not come up; the message ends with the last lines of its log."""


@dataclass(frozen=True)
class Server:
    """A server of `engine` that lives in `home`.

    A server that is not `durable` is faster and may lose data with the machine, never with its process.
    """

    engine: Engine
    home: Home
    durable: bool = True

    @property
    def pid(self) -> int | None:
        """The id of its process, None while it is stopped."""
        process = self.home.process
        return process.pid if process else None

    def describe(self) -> str:
        """Says what it is in one line."""
        return f"{self.engine.title} {self.engine.programs.version}, {self.engine.programs.origin}"

    def url(self, database: str = "") -> str:
        """The URL of a database, or of the server; it stays the same over restarts of the server."""
        return self.engine.url(self.home.sockets.resolve(), database)

    def start(self) -> None:
        """Starts it unless it runs, with new data if it has none; returns when it accepts sessions."""
        self._prepare_home()
        process = self.home.process or self._spawn()
        deadline = time.monotonic() + START_SECONDS
        while not self.engine.answers(self.home.sockets.resolve()):
            if not process.alive or time.monotonic() > deadline:
                process.stop(signal.SIGKILL)
                raise ServerFailed(
                    f"{self.describe()} did not start; {self.home.log} ends with\n"
                    + processes.last_words(self.home.log)
                )
            time.sleep(processes.POLL_SECONDS)

    def stop(self) -> None:
        """Ends it cleanly and keeps its data."""
        self.home.stop()

    def kill(self) -> None:
        """Ends it as a crash would, and keeps its data."""
        self.home.kill()

    def halt(self) -> None:
        """Has it stand still, with every session; it knows nothing of it."""
        self._send(signal.SIGSTOP)

    def resume(self) -> None:
        """Lets it go on."""
        self._send(signal.SIGCONT)

    def discard(self) -> None:
        """Ends it at once and forgets its data."""
        self.home.discard()

    def _send(self, number: signal.Signals) -> None:
        """To its process, and to those that Postgres begins, one for each session."""
        assert self.pid is not None
        # The first one first: it begins no more then.
        os.kill(self.pid, number)
        for begun in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split():
            with suppress(ProcessLookupError):
                os.kill(int(begun), number)

    def _spawn(self) -> Process:
        sockets = self.home.sockets.resolve()
        for leftover in sockets.iterdir():
            # A killed server leaves a lock with its process id, which may be somebody else's by now.
            leftover.unlink()
        lock = self.home.data / (self.engine.lock_name or "")
        if self.engine.lock_name and self.home.left_by_a_crash(lock):
            lock.unlink()
        process = processes.spawn(
            self.engine.command(self.home.data, sockets, durable=self.durable),
            log=self.home.log,
            environment=self.engine.environment(),
            user=self.engine.run_user,
            stop_signal=self.engine.stop_signal,
        )
        self.home.remember(process)
        return process

    def _prepare_home(self) -> None:
        home, user = self.home, self.engine.run_user
        home.folder.mkdir(parents=True, exist_ok=True)
        if user:
            user.own(home.folder)
        if not home.data.exists():
            _copy(_template(self.engine), home.data)
        sockets = home.sockets.resolve()
        if not sockets.is_dir() or sockets.stat().st_uid != (user.uid if user else os.geteuid()):
            # A server that still runs listens where nobody finds it: temporary folders were cleaned.
            home.stop()
            home.sockets.unlink(missing_ok=True)
            home.sockets.symlink_to(_short_folder(self.engine))


def _template(engine: Engine) -> Path:
    """Returns a prepared data folder of this version: copying it takes a tenth of the time of creating one."""

    def fill(folder: Path) -> None:
        if engine.run_user:
            engine.run_user.own(folder)
        command = engine.creation(folder / "data")
        done = processes.run(command, engine.environment(), user=engine.run_user)
        if done.returncode:
            raise ServerFailed(f"{engine.title} could not create its data folder:\n{done.stdout}")
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
