"""One service of a local stack: a process, its log, its address, and whether it says SERVING."""

import asyncio
import json
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from devtools import processes
from servicekit.process.health import check

ROOT = Path(__file__).resolve().parents[2]
LOCAL = ROOT / ".local"
HOST = "127.0.0.1"
# Ample, for machines that are busy: a service that ends is noticed at once.
START_SECONDS = 60.0
# What a service says when somebody has its port.
CANNOT_LISTEN = "cannot listen on"
# Longer than a drain: a pause, then calls, work and workers, each of which may take its whole grace of 12 s.
STOP_SECONDS = 40.0


class ServiceFailed(Exception):
    """A service did not come up or its schema could not be made; the message says what it printed."""


class ServiceProcess:
    """A service whose process is remembered in the stack's folder."""

    def __init__(self, name: str, preferred_port: int, local: Path) -> None:
        self.name = name
        self.log = local / "log" / f"{name}.log"
        self._preferred_port = preferred_port
        self._process_file = local / "run" / f"{name}.json"
        self._environment_file = local / "run" / f"{name}.environment.json"

    def migrate(self, environment: Mapping[str, str]) -> None:
        """Brings its database to the schema it expects."""
        command = [sys.executable, "-m", f"{self.name}_service", "migrate", "upgrade"]
        variables = {**environment, f"{self.name.upper()}_LISTEN": f"{HOST}:{self._preferred_port}"}
        done = processes.run(command, variables, folder=ROOT)
        if done.returncode:
            raise ServiceFailed(f"{self.name}: the migration failed\n{done.stdout}")

    def start(self, environment: Mapping[str, str]) -> str:
        """Starts it unless it runs with this very environment; returns its address as soon as it listens there.

        The service takes the port itself: one that was only found free may be somebody else's a moment later. So
        it tries the preferred one, and where that is taken it is given another by the system.
        Raises ServiceFailed.
        """
        listen = f"{self.name.upper()}_LISTEN"
        running = self._running_environment()
        if running and {**environment, listen: running[listen]} == running:
            return running[listen]
        self.stop()
        for file in (self.log, self._process_file):
            file.parent.mkdir(parents=True, exist_ok=True)
        for port in (self._preferred_port, 0):
            began = self.log.stat().st_size if self.log.exists() else 0
            self._spawn({**environment, listen: f"{HOST}:{port}"})
            if address := self._listening_address():
                self._environment_file.write_text(json.dumps({**environment, listen: address}))
                return address
            if CANNOT_LISTEN not in processes.last_words(self.log, began):
                break
        raise self._failure("does not start")

    def wait(self, address: str) -> None:
        """Returns when it says SERVING; raises ServiceFailed with the end of its log when it does not."""
        deadline = time.monotonic() + START_SECONDS
        while not asyncio.run(check(address)):
            if not self.running or time.monotonic() > deadline:
                raise self._failure("does not serve")
            time.sleep(0.1)

    @property
    def running(self) -> bool:
        """Whether its process is there."""
        return processes.recall(self._process_file) is not None

    def stop(self) -> None:
        """Drains it and ends it."""
        if process := processes.recall(self._process_file):
            process.stop(patience_seconds=STOP_SECONDS)
        self._process_file.unlink(missing_ok=True)

    def _spawn(self, environment: Mapping[str, str]) -> None:
        # What it runs with is known only once it listens; nothing may compare equal before.
        self._environment_file.unlink(missing_ok=True)
        process = processes.spawn(
            [sys.executable, "-m", f"{self.name}_service", "serve"],
            log=self.log,
            environment=environment,
            folder=ROOT,
        )
        process.remember(self._process_file)

    def _listening_address(self) -> str | None:
        """Waits until its process listens for callers; None when that ends before or takes too long."""
        prefix = self.name.upper()
        for_others = (os.environ.get(f"{prefix}_{whose}_LISTEN", "") for whose in ("ADMIN", "METRICS"))
        others = {int(port) for address in for_others if (port := address.rpartition(":")[2]).isdecimal()}
        deadline = time.monotonic() + START_SECONDS
        while (process := processes.recall(self._process_file)) and time.monotonic() < deadline:
            if ports := process.listening_ports - (others - {self._preferred_port}):
                return f"{HOST}:{min(ports)}"
            time.sleep(processes.POLL_SECONDS)
        return None

    def _failure(self, what: str) -> ServiceFailed:
        return ServiceFailed(f"{self.name} {what}; {self.log} ends with\n{processes.last_words(self.log)}")

    def _running_environment(self) -> dict[str, str] | None:
        if not (self.running and self._environment_file.exists()):
            return None
        environment: dict[str, str] = json.loads(self._environment_file.read_text())
        return environment
