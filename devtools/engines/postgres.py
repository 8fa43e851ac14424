"""Postgres: where its server may be, and the flags it runs with."""

import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from devtools.engines import apt, cache
from devtools.engines.engine import EngineUnavailable, Programs, library_path
from devtools.engines.run_user import RunUser, unprivileged_user

OLDEST = 14
USER = "holdfast"
SOCKET = ".s.PGSQL.5432"
PROTOCOL_VERSION = 3 << 16
LOCK = Path(__file__).parents[2] / "requirements/postgres.txt"
ZONES = Path("/usr/share/zoneinfo/UTC")


@dataclass(frozen=True)
class Postgres:
    """A Postgres server; it refuses to run as root and then gets another account."""

    programs: Programs
    run_user: RunUser | None
    name: str = "postgres"
    title: str = "Postgres"
    lock_name: str | None = "postmaster.pid"
    # "Fast" shutdown: sessions are ended, nothing is lost.
    stop_signal: signal.Signals = signal.SIGINT

    def environment(self) -> dict[str, str]:
        return library_path(self.programs.root)

    def creation(self, data: Path) -> list[str]:
        initdb = self.programs.server.with_name("initdb")
        options = f"-D {data} -U {USER} -A trust --no-sync -E UTF8 --locale=C.UTF-8"
        return [str(initdb), *options.split(" ")]

    def command(self, data: Path, sockets: Path, *, durable: bool) -> list[str]:
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": sockets,
            "max_connections": 250,
            "shared_buffers": "64MB",
            "jit": "off",
        }
        if not durable:
            settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return [str(self.programs.server), "-D", str(data), *options]

    def answers(self, sockets: Path) -> bool:
        """Asks for a session: while it recovers, the server accepts the connection and answers an error."""
        body = struct.pack("!i", PROTOCOL_VERSION) + f"user\0{USER}\0database\0postgres\0\0".encode()
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(1)
            try:
                client.connect(str(sockets / SOCKET))
                client.sendall(struct.pack("!i", len(body) + 4) + body)
                return client.recv(1) == b"R"
            except OSError:
                return False

    def url(self, sockets: Path, database: str = "") -> str:
        return f"postgresql+asyncpg://{USER}@/{database}?host={sockets}"


def on_this_machine() -> Postgres:
    """Finds the newest installed server, on PATH or where distributions put it."""
    on_path = shutil.which("postgres")
    found = [Path(on_path).resolve()] if on_path else []
    found += Path("/usr/lib/postgresql").glob("*/bin/postgres")
    found += Path("/usr").glob("pgsql-*/bin/postgres")
    usable = [server for server in found if server.with_name("initdb").exists()]
    if not usable:
        raise EngineUnavailable("this machine has no postgres")
    server = max(usable, key=lambda server: [int(part) for part in _version(server, {}).split(".")])
    version = _version(server, {})
    if int(version.split(".")[0]) < OLDEST:
        raise EngineUnavailable(f"{server} is Postgres {version}, too old")
    return Postgres(Programs(version, f"installed here as {server}", server), unprivileged_user())


def unpacked() -> Postgres:
    """Uses the private copy in the cache, and makes it first if there is none."""
    if not ZONES.exists():
        raise EngineUnavailable("no private copy of Postgres: it needs this machine's time zones (tzdata)")
    user = unprivileged_user()
    root = cache.versioned(cache.shared_cache(user) / "engines", "postgres", _unpack)
    server = next(root.glob("usr/lib/postgresql/*/bin/postgres"))
    programs = Programs(_version(server, library_path(root)), f"a private copy in {root}", server, root)
    return Postgres(programs, user)


def from_wheel() -> Postgres:
    """Uses the server that the Python wheel of requirements/postgres.txt carries."""
    user = unprivileged_user()
    root = cache.versioned(cache.shared_cache(user) / "engines", "postgres-wheel", _install_wheel)
    server = next(root.glob("*/pginstall/bin/postgres"))
    return Postgres(Programs(_version(server, {}), f"the Python wheel's, in {root}", server), user)


def _unpack(root: Path) -> str:
    apt.unpack("Postgres", ["postgresql"], root)
    for bulk in root.glob("usr/lib/postgresql/*/lib/bitcode"):
        shutil.rmtree(bulk)
    return _version(next(root.glob("usr/lib/postgresql/*/bin/postgres")), library_path(root))


def _install_wheel(root: Path) -> str:
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--require-hashes", "--no-deps"]
    done = subprocess.run([*pip, "--target", root, "-r", LOCK], capture_output=True, text=True)
    if done.returncode:
        raise EngineUnavailable(f"no Postgres from the Python wheel: {done.stderr.strip().splitlines()[-1]}")
    return _version(next(root.glob("*/pginstall/bin/postgres")), {})


def _version(server: Path, environment: dict[str, str]) -> str:
    done = subprocess.run(
        [server, "--version"], capture_output=True, text=True, env={**os.environ, **environment}
    )
    found = re.search(r"\(PostgreSQL\) (\d+\.\d+)", done.stdout)
    if found is None:
        raise EngineUnavailable(f"{server} does not run on this machine")
    return found[1]
