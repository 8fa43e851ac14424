"""The folder of one private server: its data, its log, the way to its socket and the process that serves it.

Everything that is done to a server without knowing its engine is here, so that stopping never has to look for
programs first.
"""

import shutil
import signal
from dataclasses import dataclass
from pathlib import Path

from devtools import processes
from devtools.processes import Process


@dataclass(frozen=True)
class Home:
    """Where a server lives."""

    folder: Path

    @property
    def data(self) -> Path:
        """The engine's own data folder."""
        return self.folder / "data"

    @property
    def log(self) -> Path:
        """What the server printed."""
        return self.folder / "server.log"

    @property
    def sockets(self) -> Path:
        """A link to the folder of the socket, whose own path must be short."""
        return self.folder / "sockets"

    @property
    def process(self) -> Process | None:
        """The process that serves the data now, whoever started it."""
        return processes.recall(self._process_file)

    def left_by_a_crash(self, lock: Path) -> bool:
        """Whether the lock names a process that serves no more.

        To a server that starts, one that waits to be collected looks alive, and so does a stranger with its id.
        """
        try:
            pid = int(lock.read_text().split()[0])
        except (OSError, ValueError, IndexError):
            return False
        recorded = processes.recorded(self._process_file)
        if recorded is not None and recorded.pid == pid:
            return not recorded.alive
        return not processes.exists(pid)

    def remember(self, process: Process) -> None:
        """Writes down which process serves the data."""
        process.remember(self._process_file)

    def stop(self) -> None:
        """Ends the server cleanly and keeps its data."""
        if process := self.process:
            process.stop()
        self._process_file.unlink(missing_ok=True)

    def kill(self) -> None:
        """Ends the server as a crash would, and keeps its data."""
        if process := self.process:
            process.stop(signal.SIGKILL)
        self._process_file.unlink(missing_ok=True)

    def discard(self) -> None:
        """Ends the server at once and forgets its data."""
        self.kill()
        if self.sockets.is_symlink():
            shutil.rmtree(self.sockets.resolve(), ignore_errors=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def _process_file(self) -> Path:
        return self.folder / "process.json"
