"""Commands of the services as processes, forked from one that has loaded both services already.

Loading costs ten times what a service needs to start, and a run starts hundreds of them. What is forked is a
process like `python -m <service>_service …`: its own memory, environment, output and end, by signals too.
"""

import asyncio
import gc
import importlib
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from tempfile import TemporaryDirectory

from servicekit import crash_points
from tests.support.memory import peak_megabytes

ROOT = Path(__file__).resolve().parents[2]
MOST_SECONDS = 300.0
"""How long a command may take that is run to its end."""
WITHOUT_UVLOOP = "HOLDFAST_TEST_WITHOUT_UVLOOP"
"""Set for a command that is to run as on an interpreter for which there is no uvloop: on asyncio's own loop."""
_LOADED = multiprocessing.get_context("forkserver")
_LOADED.set_forkserver_preload(["delivery_service.__main__", "inventory_service.__main__", __name__])


class ForkedCommand:
    """One command of a service that runs, or has ended."""

    def __init__(
        self, service: str, words: Sequence[str], environment: Mapping[str, str], output: Path, errors: Path
    ) -> None:
        """Starts it; what it writes is added to the files, which may be one and the same."""
        arguments = (f"{service}_service", tuple(words), dict(environment), output, errors)
        # A run that ends leaves none behind.
        self._process: ForkServerProcess = _LOADED.Process(target=_run, args=arguments, daemon=True)
        self._process.start()

    @property
    def pid(self) -> int:
        """The number of the process."""
        assert self._process.pid is not None
        return self._process.pid

    def poll(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        return self._process.exitcode

    async def ended(self, seconds: float = 120.0) -> int:
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


@dataclass(frozen=True)
class Done:
    """How a command ended and what it printed."""

    code: int
    output: str
    errors: str
    megabytes: float
    """The most memory that it had, as last seen before its end."""


async def run_command(service: str, *words: str, **environment: str) -> Done:
    """Runs a command of a service to its end, with some variables beside those of this process.

    Raises TimeoutError where that takes too long; the command is killed then.
    """
    with TemporaryDirectory(prefix="hf-command-") as folder:
        output, errors = Path(folder, "output"), Path(folder, "errors")
        command = ForkedCommand(service, words, os.environ | environment, output, errors)
        try:
            async with asyncio.timeout(MOST_SECONDS):
                megabytes = await peak_megabytes(command)
                code = await command.ended()
        finally:
            command.send_signal(signal.SIGKILL)
        printed, complained = [await asyncio.to_thread(path.read_text) for path in (output, errors)]
        return Done(code, printed, complained, megabytes)


def _run(
    module: str, words: Sequence[str], environment: Mapping[str, str], output: Path, errors: Path
) -> None:
    os.chdir(ROOT)
    for number, path in ((1, output), (2, errors)):
        opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    os.environ.clear()
    os.environ.update(environment)
    # The one module that looks at the environment as it is loaded.
    importlib.reload(crash_points)
    if WITHOUT_UVLOOP in environment:
        sys.modules["uvloop"] = None  # type: ignore[assignment]
    sys.argv = [module, *words]
    code = importlib.import_module(f"{module}.__main__").main()
    # An interpreter that ends says what nobody waited for; this process ends without its interpreter's end.
    gc.collect()
    sys.exit(code)
