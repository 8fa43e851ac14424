"""Processes whose clock can be set while they run, as an operator or a time server sets that of a machine."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from devtools.engines import faketime
from tests.support.forks import ROOT


class Clock:
    """The clock of one process, of which it knows from its environment; it runs on evenly from where it is set.

    The monotonic clock, by which waits are measured, stays as it is.
    """

    def __init__(self, file: Path) -> None:
        """Raises EngineUnavailable."""
        self._file = file
        self.set(0)
        self.environment: Mapping[str, str] = {
            "LD_PRELOAD": str(faketime.library()),
            "FAKETIME_TIMESTAMP_FILE": str(file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def set(self, seconds: float) -> None:
        """So many seconds ahead of the machine's, or behind."""
        # It is read at any time, and half a file would be no time.
        new = self._file.with_suffix(".new")
        new.write_text(f"{seconds:+.3f}\n")
        new.replace(self._file)


class Program:
    """A command of a service as a program of its own, where it must load something before all else."""

    def __init__(self, service: str, words: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        """Starts it; what it writes is added to the file."""
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", f"{service}_service", *words],
                cwd=ROOT,
                env=dict(environment),
                stdout=output,
                stderr=output,
            )

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    def poll(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        return self._process.poll()

    async def ended(self, seconds: float) -> int:
        """Waits for the end and answers the exit code. Raises AssertionError when it takes longer."""
        deadline = time.monotonic() + seconds
        while (code := self.poll()) is None:
            assert time.monotonic() < deadline, f"{self.pid} did not end within {seconds} s"
            await asyncio.sleep(0.02)
        return code

    def send_signal(self, number: signal.Signals) -> None:
        """Sends a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)
