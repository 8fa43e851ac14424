"""Which files are backups that a server understands."""

import gzip
import stat
from pathlib import Path

import pytest
from sqlalchemy import make_url

from delivery_service.adoption.backup import check_backup
from delivery_service.adoption.expectations import TABLES
from delivery_service.adoption.programs import Make, option_file
from servicekit.adoption.backup import BackupFailed

TEXT = "\n".join(
    [
        "-- MySQL dump 10.13  Distrib 9.7.4, for Linux (x86_64)",
        "-- Server version\t9.7.4",
        *(f"CREATE TABLE `{name}` (\n  `id` bigint\n);" for name in TABLES),
        "INSERT INTO `tigu_order` VALUES (1,'CREATE TABLE `none` (');",
        "-- Dump completed on 2025-11-09 16:19:00\n",
    ]
)
OF_MARIADB = TEXT.replace("version\t9.7.4", "version\t10.11.19-MariaDB-0+deb12u1")
MYSQL, MARIADB = Make("MySQL", 9), Make("MariaDB", 10)


@pytest.mark.parametrize(("text", "server"), [(TEXT, MYSQL), (OF_MARIADB, MARIADB)])
async def test_a_whole_backup_is_understood_packed_or_not(tmp_path: Path, text: str, server: Make) -> None:
    file = tmp_path / "backup"
    for content in (text.encode(), gzip.compress(text.encode())):
        file.write_bytes(content)
        contents = await check_backup(file, server)
        assert (contents.make, contents.tables) == (server, list(TABLES))


@pytest.mark.parametrize(
    ("content", "server", "says"),
    [
        (gzip.compress(TEXT.encode())[:-9], MYSQL, "cannot be read to its end"),
        (TEXT.split("-- Dump completed", maxsplit=1)[0].encode(), MYSQL, "one that ends too early"),
        (b"SELECT 1;", MYSQL, "is no backup"),
        (TEXT.encode(), MARIADB, "is of MySQL 9, this server is MariaDB 10: neither understands"),
        (OF_MARIADB.encode(), MYSQL, "is of MariaDB 10, this server is MySQL 9: neither understands"),
        (TEXT.encode(), Make("MySQL", 8), "this server is the older MySQL 8"),
        (TEXT.replace("`tigu_driver`", "`driver`").encode(), MYSQL, "it lacks tigu_driver"),
    ],
)
async def test_any_other_file_is_refused_with_the_reason(
    tmp_path: Path, content: bytes, server: Make, says: str
) -> None:
    file = tmp_path / "backup"
    file.write_bytes(content)
    with pytest.raises(BackupFailed, match=says):
        await check_backup(file, server)


async def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BackupFailed, match="No such file"):
        await check_backup(tmp_path / "backup", MYSQL)


def test_a_password_goes_into_a_private_file_that_is_gone_afterwards() -> None:
    url = make_url("mysql+asyncmy://shop@db.example:3307/b2b?ssl_ca=/etc/ca.pem").set(password='p"#\\ w')
    with option_file(url) as file:
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert file.read_text().splitlines() == [
            "[client]",
            'user="shop"',
            'password="p\\"#\\\\ w"',
            'host="db.example"',
            'port="3307"',
            'protocol="tcp"',
            'ssl-ca="/etc/ca.pem"',
        ]
    assert not file.exists()
