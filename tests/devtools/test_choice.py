import platform
from pathlib import Path

import pytest

from devtools.engines import apt, choice, mariadb, mysql, postgres
from devtools.engines.engine import Engine, EngineUnavailable

MARIADB_SAYS = "mysqld  Ver 10.11.19-MariaDB-0+deb12u1 for debian-linux-gnu on x86_64"
MYSQL_SAYS = "mysqld  Ver 9.7.4 for Linux on x86_64 (Source distribution)"


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that is all of PATH, and an empty cache."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("HOLDFAST_CACHE", str(tmp_path / "cache"))
    return folder


def program(path: Path, prints: str, code: int = 0, stream: int = 1) -> None:
    path.write_text(f"#!/bin/sh\necho '{prints}' >&{stream}\nexit {code}\n")
    path.chmod(0o755)


def test_an_installed_server_comes_before_a_private_copy(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program(path / "mysqld", MYSQL_SAYS)

    engine = choice.choose("MySQL", choice.MYSQL)

    assert engine.programs.server == path / "mysqld"
    assert f"MySQL 9.7.4, installed here as {path / 'mysqld'}" in capsys.readouterr().out


def test_a_mysqld_that_is_mariadb_is_not_taken_for_mysql(path: Path) -> None:
    program(path / "mysqld", MARIADB_SAYS)

    with pytest.raises(EngineUnavailable, match="is not MySQL"):
        mysql.on_this_machine()


def test_a_mysqld_that_is_mariadb_serves_as_mariadb(path: Path) -> None:
    program(path / "mysqld", MARIADB_SAYS)
    program(path / "mariadb-install-db", "")

    assert mariadb.on_this_machine().programs.version == "10.11.19"


def test_a_server_that_is_too_old_is_refused(path: Path) -> None:
    program(path / "mysqld", "mysqld  Ver 5.7.44 for Linux on x86_64")

    with pytest.raises(EngineUnavailable, match=r"5\.7\.44, too old"):
        mysql.on_this_machine()


def test_the_first_candidate_that_can_be_had_is_taken(path: Path) -> None:
    program(path / "mysqld", MARIADB_SAYS)
    program(path / "mariadb-install-db", "")

    assert choice.for_delivery().name == "mariadb"


def test_without_apt_there_is_no_private_copy_and_nothing_is_left_behind(path: Path, tmp_path: Path) -> None:
    for unpacked in (mysql.unpacked, mariadb.unpacked):
        with pytest.raises(EngineUnavailable, match="this machine has no apt"):
            unpacked()

    assert sorted(file.name for file in (tmp_path / "cache/holdfast/engines").iterdir()) == [
        "mariadb.lock",
        "mysql.lock",
    ]


def test_a_failing_apt_is_quoted(path: Path, tmp_path: Path) -> None:
    program(path / "apt-get", "E: Unable to locate package", code=100, stream=2)
    program(path / "dpkg", "")

    with pytest.raises(EngineUnavailable, match="configured with no archive"):
        apt.unpack("MySQL", ["mysql-server-core"], tmp_path / "root", suite="sid")

    listed = tmp_path / "machine.list"
    listed.write_text("deb [signed-by=/machine.gpg] http://archive.invalid/debian stable main\n")
    codename = platform.freedesktop_os_release()["VERSION_CODENAME"]
    target = f"http://archive.invalid/debian/|{codename}|main|{listed}:1"
    complaint = "E: The repository is not signed."
    (path / "apt-get").write_text(
        f"#!/bin/sh\ncase $1 in indextargets) echo '{target}';; *) echo '{complaint}' >&2; exit 100;; esac\n"
    )
    with pytest.raises(EngineUnavailable, match=r"no private copy of MySQL: E: .*not signed"):
        apt.unpack("MySQL", ["mysql-server-core"], tmp_path / "again", suite="sid")
    written = (tmp_path / "again/.apt/etc/engine.sources").read_text()
    assert "URIs: http://archive.invalid/debian/\nSuites: sid\n" in written
    assert "Signed-By: /machine.gpg" in written


def test_where_nothing_can_be_had_every_reason_and_every_way_out_is_named() -> None:
    def neither() -> Engine:
        raise EngineUnavailable("this machine has no mysqld")

    def nor() -> Engine:
        raise EngineUnavailable("no private copy of MySQL: this machine has no apt to fetch it with")

    with pytest.raises(EngineUnavailable) as refusal:
        choice.choose("MySQL", [neither, nor])

    for words in ("has no mysqld", "no apt", "INVENTORY_DATABASE_URL", "docker compose up"):
        assert words in str(refusal.value)


def test_postgres_is_looked_for_here_then_unpacked_then_in_the_wheel() -> None:
    assert list(choice.POSTGRES) == [postgres.on_this_machine, postgres.unpacked, postgres.from_wheel]
