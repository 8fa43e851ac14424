"""Processes that outlive the command that started them, and are stopped by the next one.

A process is remembered by its id and its start time, so an id that the system has given to somebody else since
is never signalled.
"""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from devtools import interruption
from devtools.engines.run_user import RunUser

POLL_SECONDS = 0.02
# The state of a listening socket in /proc/net/tcp.
LISTENING = "0A"


@dataclass(frozen=True)
class Process:
    """A process of this machine.

    `started` is its start time in clock ticks since boot; `stop_signal` is what ends it cleanly.
    """

    pid: int
    started: int
    stop_signal: int = signal.SIGTERM

    @property
    def alive(self) -> bool:
        """Whether this very process still runs; one that only waits to be collected does not."""
        return _start_time(self.pid) == self.started

    @property
    def listening_ports(self) -> set[int]:
        """The TCP ports at which this very process accepts connections."""
        if not self.alive:
            return set()
        sockets = set()
        for descriptor in Path(f"/proc/{self.pid}/fd").glob("*"):
            with suppress(OSError):
                sockets.add(str(descriptor.readlink()))
        return {port for port, inode in _listeners(self.pid) if f"socket:[{inode}]" in sockets}

    def stop(self, number: int | None = None, *, patience_seconds: float = 10) -> None:
        """Asks it to end, then ends it; returns when it is gone. Its whole process group is told."""
        for request, seconds in ((number or self.stop_signal, patience_seconds), (signal.SIGKILL, 5.0)):
            if self.alive:
                with suppress(ProcessLookupError):
                    os.killpg(self.pid, request)
            deadline = time.monotonic() + seconds
            while self.alive and time.monotonic() < deadline:
                time.sleep(POLL_SECONDS)

    def remember(self, file: Path) -> None:
        """Writes it down, whole or not at all."""
        partial = file.with_suffix(".partial")
        partial.write_text(json.dumps(asdict(self)))
        partial.rename(file)


def current() -> Process:
    """Returns the process that asks."""
    return Process(os.getpid(), _start_time(os.getpid()) or 0)


def exists(pid: int) -> bool:
    """Whether a process with this id runs; one that only waits to be collected does not."""
    return _start_time(pid) is not None


def recorded(file: Path) -> Process | None:
    """Reads a process that was written down, whether or not it still runs."""
    try:
        return Process(**json.loads(file.read_text()))
    except (OSError, ValueError, TypeError):
        return None


def recall(file: Path) -> Process | None:
    """Reads a process that was written down, if it still runs."""
    process = recorded(file)
    return process if process and process.alive else None


def spawn(
    command: Sequence[str],
    *,
    log: Path,
    environment: Mapping[str, str] | None = None,
    user: RunUser | None = None,
    folder: Path = Path("/"),
    stop_signal: int = signal.SIGTERM,
) -> Process:
    """Starts a process in a group of its own, its output appended to `log`."""
    with log.open("ab") as output:
        child = subprocess.Popen(
            _under(user, command),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
            cwd=folder,
            start_new_session=True,
        )
    started = _start_time(child.pid) or 0
    # From here on it is known by its id alone; Popen would complain about a child that nobody waits for.
    child.returncode = 0
    return Process(child.pid, started, stop_signal)


def run_here(command: Sequence[str], environment: Mapping[str, str] | None = None) -> int:
    """Runs a command in the foreground to its end; answers its exit code.

    Who ends this process ends both: the command puts away what it has, and only then is KeyboardInterrupt raised.
    """
    with subprocess.Popen(command, env=environment) as child, interruption.passed_on(child):
        try:
            return child.wait()
        except KeyboardInterrupt:
            # subprocess.run would end the command with SIGKILL after a quarter of a second.
            child.wait()
            raise


def run(
    command: Sequence[str],
    environment: Mapping[str, str],
    *,
    user: RunUser | None = None,
    folder: Path = Path("/"),
) -> subprocess.CompletedProcess[str]:
    """Runs a command to its end; all that it prints is in `stdout`."""
    return subprocess.run(
        _under(user, command),
        cwd=folder,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _under(user: RunUser | None, command: Sequence[str]) -> list[str]:
    """The command, under an account.

    Popen would fork for that, and where gRPC has threads half of all children die before they are the command.
    """
    if user is None:
        return [*command]
    return ["setpriv", f"--reuid={user.uid}", f"--regid={user.gid}", "--clear-groups", "--", *command]


def last_words(log: Path, since: int = 0) -> str:
    """Returns the last lines of a log that were written behind its byte `since`."""
    return "\n".join(log.read_bytes()[since:].decode(errors="replace").splitlines()[-12:])


def _listeners(pid: int) -> Iterator[tuple[int, str]]:
    """The ports of listening sockets and their inodes, of everybody in the process's network."""
    for table in ("tcp", "tcp6"):
        with suppress(OSError):
            for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
                fields = line.split()
                address, state, inode = fields[1], fields[3], fields[9]
                if state == LISTENING:
                    yield int(address.rpartition(":")[2], 16), inode


def _start_time(pid: int) -> int | None:
    """Reads a process's start time; None for one that has ended, threads and all."""
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    try:
        # The second field is the program's name, which may hold blanks and brackets.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    state, threads, started = fields[0], int(fields[17]), int(fields[19])
    return None if state in "ZX" and threads <= 1 else started
