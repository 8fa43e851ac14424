"""The three database servers of a test run: started once, before any test, and shared by all its workers."""

import os
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from devtools import processes
from devtools.engines import choice
from devtools.engines.engine import Engine, EngineUnavailable
from devtools.engines.home import Home
from devtools.engines.server import Server, ServerFailed

CANDIDATES: Mapping[str, Sequence[choice.Candidate]] = {
    "postgres": choice.POSTGRES,
    "mysql": choice.MYSQL,
    "mariadb": choice.MARIADB,
}

PLACE = Path("/tmp")
PREFIX = "hf-test-"
OWNER = "owner.json"


class RunEngines:
    """The servers of one run; their URLs travel to the workers in the environment."""

    def __init__(self) -> None:
        self.report: list[str] = []
        self._servers: list[Server] = []

    def start(self) -> None:
        """Starts a server for each engine whose URL is not set already; what cannot be had is reported."""
        _clear_away_killed_runs()
        chosen = [engine for name in CANDIDATES if (engine := self._choose(name)) is not None]
        with ThreadPoolExecutor() as pool:
            list(pool.map(self._start, chosen))

    def discard(self) -> None:
        """Ends the servers that this run started and forgets their data."""
        for server in self._servers:
            server.discard()

    def _choose(self, name: str) -> Engine | None:
        if given := os.environ.get(_variable(name)):
            self.report.append(f"{name}: {given}, as the environment says")
            return None
        if os.environ.get("HOLDFAST_NO_ENGINES"):
            self.report.append(f"{name}: NOT STARTED, because HOLDFAST_NO_ENGINES is set")
            return None
        try:
            return choice.choose(name, CANDIDATES[name])
        except EngineUnavailable as reason:
            self.report.append(f"{name}: NOT AVAILABLE, its tests fail. {reason}")
            return None

    def _start(self, engine: Engine) -> None:
        # Losing data with the machine's power is no concern of a test; speed is.
        server = Server(engine, Home(new_home()), durable=False)
        self._servers.append(server)
        try:
            server.start()
        except ServerFailed as reason:
            self.report.append(f"{engine.name}: NOT AVAILABLE, its tests fail. {reason}")
        else:
            self.report.append(f"{engine.name}: {server.describe()}")
            os.environ[_variable(engine.name)] = server.url()


def new_home() -> Path:
    """Makes a folder for a server that every account can reach, and notes who uses it."""
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=PLACE))
    processes.current().remember(folder / OWNER)
    return folder


def _clear_away_killed_runs() -> None:
    """Ends the servers of runs that had no time to do it themselves."""
    for owner in PLACE.glob(f"{PREFIX}*/{OWNER}"):
        if os.access(owner, os.W_OK) and processes.recall(owner) is None:
            Home(owner.parent).discard()


def _variable(name: str) -> str:
    return f"HOLDFAST_TEST_{name.upper()}_URL"
