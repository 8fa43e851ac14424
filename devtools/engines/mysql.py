"""MySQL: where its server may be, and the flags it runs with."""

import os
import re
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

from devtools.engines import apt, cache, mysql_protocol
from devtools.engines.engine import EngineUnavailable, Programs
from devtools.engines.run_user import RunUser

# The release notes of the newest stable suite trail MySQL's; the development suite carries the LTS release.
SUITE = "sid"
PACKAGE = "mysql-server-core"
OLDEST = (8, 0)
USUAL_PLACES = "/usr/sbin:/usr/libexec:/usr/local/mysql/bin:/usr/local/sbin"


@dataclass(frozen=True)
class MySQL:
    """A MySQL server."""

    programs: Programs
    name: str = "mysql"
    title: str = "MySQL"
    lock_name: str | None = None
    run_user: RunUser | None = None
    stop_signal: signal.Signals = signal.SIGTERM

    def environment(self) -> dict[str, str]:
        return {}

    def creation(self, data: Path) -> list[str]:
        return [*self._server(data), "--initialize-insecure"]

    def command(self, data: Path, sockets: Path, *, durable: bool) -> list[str]:
        speed = [] if durable else ["--innodb-flush-log-at-trx-commit=0", "--innodb-doublewrite=OFF"]
        return [
            *self._server(data),
            f"--socket={sockets / mysql_protocol.SOCKET}",
            f"--pid-file={data / 'server.pid'}",
            # No other server may take temporary files for its own.
            f"--tmpdir={sockets}",
            "--skip-networking",
            "--mysqlx=OFF",
            "--max-connections=250",
            "--innodb-buffer-pool-size=64M",
            *mysql_protocol.CHARACTER_SET,
            *speed,
        ]

    def answers(self, sockets: Path) -> bool:
        return mysql_protocol.greets(sockets)

    def url(self, sockets: Path, database: str = "") -> str:
        return mysql_protocol.url(sockets, database)

    def _server(self, data: Path) -> list[str]:
        root = self.programs.root
        places = [] if root is None else _places(root)
        return [
            *(_launch(root) if root else [str(self.programs.server)]),
            "--no-defaults",
            *places,
            f"--datadir={data}",
            *(["--user=root"] if os.geteuid() == 0 else []),
            "--secure-file-priv=NULL",
            "--disable-log-bin",
            # A smaller redo log makes the creation of a data folder stall.
            "--innodb-redo-log-capacity=32M",
        ]


def on_this_machine() -> MySQL:
    """Finds an installed server; `mysqld` may well be MariaDB, so it is asked."""
    path = shutil.which("mysqld", path=f"{os.environ.get('PATH', '')}:{USUAL_PLACES}")
    if path is None:
        raise EngineUnavailable("this machine has no mysqld")
    version = _version([path])
    if version is None:
        raise EngineUnavailable(f"{path} is not MySQL")
    if tuple(map(int, version.split(".")[:2])) < OLDEST:
        raise EngineUnavailable(f"{path} is MySQL {version}, too old")
    return MySQL(Programs(version, f"installed here as {path}", Path(path)))


def unpacked() -> MySQL:
    """Uses the private copy in the cache, and makes it first if there is none."""
    root = cache.versioned(cache.shared_cache() / "engines", "mysql", _unpack)
    version = root.name.removeprefix("mysql-")
    return MySQL(Programs(version, f"a private copy in {root}", root / "usr/sbin/mysqld", root))


def _unpack(root: Path) -> str:
    apt.unpack("MySQL", [PACKAGE], root, suite=SUITE)
    shutil.rmtree(root / "usr/bin", ignore_errors=True)
    version = _version(_launch(root))
    if version is None:
        raise EngineUnavailable("the private copy of MySQL does not run on this machine")
    return version


def _launch(root: Path) -> list[str]:
    """Starts the copy by its own loader: the suite's C library is newer than the machine's."""
    loader = next(root.glob("usr/lib/*/ld-linux-*.so.*"))
    return [str(loader), "--library-path", f"{loader.parent}:{root}/usr/lib", f"{root}/usr/sbin/mysqld"]


def _places(root: Path) -> list[str]:
    return [
        f"--basedir={root}/usr",
        f"--lc-messages-dir={root}/usr/share/mysql",
        f"--character-sets-dir={root}/usr/share/mysql/charsets",
        f"--plugin-dir={root}/usr/lib/mysql/plugin",
    ]


def _version(server: list[str]) -> str | None:
    printed = subprocess.run([*server, "--version"], capture_output=True, text=True).stdout
    found = re.search(r"Ver (\d+\.\d+\.\d+)", printed)
    return found[1] if found and "MariaDB" not in printed else None
