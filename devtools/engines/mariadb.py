"""MariaDB: where its server may be, and the flags it runs with."""

import os
import re
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

from devtools.engines import apt, cache, mysql_protocol
from devtools.engines.engine import EngineUnavailable, Programs, library_path
from devtools.engines.run_user import RunUser

PACKAGES = ["mariadb-server-core", "mariadb-client-core"]
OLDEST = (10, 6)
USUAL_PLACES = "/usr/sbin:/usr/libexec:/usr/local/mysql/bin:/usr/local/sbin"


@dataclass(frozen=True)
class MariaDB:
    """A MariaDB server, with the script that creates its data folders beside it."""

    programs: Programs
    installer: Path
    name: str = "mariadb"
    title: str = "MariaDB"
    lock_name: str | None = None
    run_user: RunUser | None = None
    stop_signal: signal.Signals = signal.SIGTERM

    def environment(self) -> dict[str, str]:
        return library_path(self.programs.root)

    def creation(self, data: Path) -> list[str]:
        root = self.programs.root
        return [
            str(self.installer),
            "--no-defaults",
            *([f"--basedir={root}/usr", "--builddir="] if root else []),
            *self._options(data),
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
        ]

    def command(self, data: Path, sockets: Path, *, durable: bool) -> list[str]:
        root = self.programs.root
        speed = [] if durable else ["--innodb-flush-log-at-trx-commit=0", "--innodb-doublewrite=OFF"]
        return [
            str(self.programs.server),
            "--no-defaults",
            *(_places(root) if root else []),
            *self._options(data),
            f"--socket={sockets / mysql_protocol.SOCKET}",
            f"--pid-file={data / 'server.pid'}",
            # A server that starts clears this folder of temporary tables, those of other servers included.
            f"--tmpdir={sockets}",
            "--skip-networking",
            "--max-connections=250",
            "--innodb-buffer-pool-size=64M",
            "--performance-schema=ON",
            *mysql_protocol.CHARACTER_SET,
            *speed,
        ]

    def answers(self, sockets: Path) -> bool:
        return mysql_protocol.greets(sockets)

    def url(self, sockets: Path, database: str = "") -> str:
        return mysql_protocol.url(sockets, database)

    def _options(self, data: Path) -> list[str]:
        as_root = ["--user=root"] if os.geteuid() == 0 else []
        return [f"--datadir={data}", "--innodb-log-file-size=32M", *as_root]


def on_this_machine() -> MariaDB:
    """Finds an installed server; on older machines it is called `mysqld`."""
    places = f"{os.environ.get('PATH', '')}:{USUAL_PLACES}"
    installer = shutil.which("mariadb-install-db", path=places)
    server = shutil.which("mariadbd", path=places) or shutil.which("mysqld", path=places)
    if installer is None or server is None:
        raise EngineUnavailable("this machine has no mariadbd")
    version = _version(server, {})
    if version is None or tuple(map(int, version.split(".")[:2])) < OLDEST:
        raise EngineUnavailable(f"{server} is not MariaDB, or too old")
    return MariaDB(Programs(version, f"installed here as {server}", Path(server)), Path(installer))


def unpacked() -> MariaDB:
    """Uses the private copy in the cache, and makes it first if there is none."""
    root = cache.versioned(cache.shared_cache() / "engines", "mariadb", _unpack)
    version = root.name.removeprefix("mariadb-")
    programs = Programs(version, f"a private copy in {root}", root / "usr/sbin/mariadbd", root)
    return MariaDB(programs, root / "usr/bin/mariadb-install-db")


def _unpack(root: Path) -> str:
    apt.unpack("MariaDB", PACKAGES, root)
    version = _version(str(root / "usr/sbin/mariadbd"), library_path(root))
    if version is None:
        raise EngineUnavailable("the private copy of MariaDB does not run on this machine")
    return version


def _places(root: Path) -> list[str]:
    return [
        f"--basedir={root}/usr",
        f"--lc-messages-dir={root}/usr/share/mysql",
        f"--character-sets-dir={root}/usr/share/mysql/charsets",
        f"--plugin-dir={root}/usr/lib/mysql/plugin",
    ]


def _version(server: str, environment: dict[str, str]) -> str | None:
    printed = subprocess.run(
        [server, "--version"], capture_output=True, text=True, env={**os.environ, **environment}
    ).stdout
    found = re.search(r"(\d+\.\d+\.\d+)-MariaDB", printed)
    return found[1] if found else None
