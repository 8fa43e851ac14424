"""A Postgres server with pg_cron in it, of its own: the extension must be loaded when the server starts."""

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from devtools.engines import apt, cache
from devtools.engines.engine import EngineUnavailable, Programs
from devtools.engines.home import Home
from devtools.engines.postgres import Postgres
from devtools.engines.run_user import unprivileged_user
from devtools.engines.server import Server
from tests.support.engines import new_home

DATABASE = "holdfast"


@dataclass(frozen=True)
class CronPostgres(Postgres):
    """Postgres whose pg_cron works in one database."""

    def command(self, data: Path, sockets: Path, *, durable: bool) -> list[str]:
        settings = {
            "shared_preload_libraries": "pg_cron",
            "cron.database_name": DATABASE,
            # It would call the server by TCP otherwise, to which ours does not listen.
            "cron.use_background_workers": "on",
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return [*super().command(data, sockets, durable=durable), *options]


def cron_server() -> Server:
    """A server, not started yet, to be discarded. Raises EngineUnavailable where Debian's packages cannot be had."""
    user = unprivileged_user()
    root = cache.versioned(cache.shared_cache(user) / "engines", "postgres-cron", _unpack)
    server = next(root.glob("usr/lib/postgresql/*/bin/postgres"))
    programs = Programs(root.name.rpartition("-")[2], f"a private copy with pg_cron in {root}", server, root)
    return Server(CronPostgres(programs, user), Home(new_home()), durable=False)


def _unpack(root: Path) -> str:
    if not shutil.which("apt-cache"):
        raise EngineUnavailable("no private copy of pg_cron: this machine has no apt to fetch it with")
    search = ["apt-cache", "search", "--names-only", "^postgresql-[0-9]+-cron$"]
    found = subprocess.run(search, capture_output=True, text=True, check=False).stdout
    offered = re.search(r"^postgresql-([0-9]+)-cron", found, re.MULTILINE)
    if offered is None:
        raise EngineUnavailable("no private copy of pg_cron: apt offers no package of it")
    apt.unpack("Postgres with pg_cron", ["postgresql", offered[0]], root)
    return offered[1]
