"""The engines' own client programs: `mysql` with `mysqldump`, `mariadb` with `mariadb-dump`.

Servers run without them; who backs up or restores needs them. Those of this machine are taken where they are of the
right make, else a private copy is fetched, apart from the server's.
"""

import re
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from devtools.engines import apt, cache, mysql
from devtools.engines.engine import EngineUnavailable, library_path


@dataclass(frozen=True)
class _Make:
    """One engine's programs: the package that has both, and the suite that it comes from."""

    title: str
    client: str
    dump: str
    package: str
    suite: str | None = None


_MAKES = {
    "mysql": _Make("MySQL's programs", "mysql", "mysqldump", "mysql-client-core", mysql.SUITE),
    # The client alone is in mariadb-client-core, which this one brings.
    "mariadb": _Make("MariaDB's programs", "mariadb", "mariadb-dump", "mariadb-client"),
}


def client_programs(engine: str, folder: Path) -> Path:
    """Puts the programs of "mysql" or "mariadb" into a folder, as scripts that run them; answers the dump program.

    The client stands beside it. Raises EngineUnavailable.
    """
    make = _MAKES[engine]
    root = None if _on_this_machine(make) else _private_copy(engine, make)
    folder.mkdir(parents=True, exist_ok=True)
    for name in (make.client, make.dump):
        script = folder / name
        script.write_text(f'#!/bin/sh\nexec {shlex.join(_launch(make, root, name))} "$@"\n')
        script.chmod(0o755)
    return folder / make.dump


def _on_this_machine(make: _Make) -> bool:
    found = [shutil.which(name) for name in (make.client, make.dump)]
    # Older machines call MariaDB's programs by MySQL's names.
    return all(found) and ("MariaDB" in _printed([make.dump, "--version"])) == (make.client == "mariadb")


def _private_copy(engine: str, make: _Make) -> Path:
    def fill(root: Path) -> str:
        apt.unpack(make.title, [make.package], root, suite=make.suite)
        for program in (root / "usr/bin").iterdir():
            if program.name not in (make.client, make.dump):
                program.unlink()
        found = re.search(r"\d+\.\d+\.\d+", _printed([*_launch(make, root, make.client), "--version"]))
        if found is None:
            raise EngineUnavailable(f"the private copy of {make.title} does not run on this machine")
        return found[0]

    return cache.versioned(cache.shared_cache() / "engines", f"{engine}-client", fill)


def _launch(make: _Make, root: Path | None, name: str) -> list[str]:
    if root is None:
        return [name]
    program = f"{root}/usr/bin/{name}"
    if make.suite is None:
        variables = [f"{name}={value}" for name, value in library_path(root).items()]
        return ["env", *variables, program]
    # The suite's C library is newer than the machine's, so its own loader starts it.
    loader = next(root.glob("usr/lib/*/ld-linux-*.so.*"))
    return [str(loader), "--library-path", str(loader.parent), program]


def _printed(command: Sequence[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout
