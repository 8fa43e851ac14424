"""The backup of the whole database that is taken before any change."""

import asyncio
import gzip
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from sqlalchemy import URL

from delivery_service.adoption.expectations import TABLES
from delivery_service.adoption.journal import JOURNAL, ROWS, STEPS
from delivery_service.adoption.programs import Make, Programs, option_file
from servicekit.adoption.backup import BackupFailed, keep_backup
from servicekit.adoption.running import running
from servicekit.schema.migrations import Progress

MIB = 1 << 20

_SERVER = re.compile(rb"-- Server version\s+(\d+)\.\S*?(-MariaDB\S*)?$")
_TABLE = re.compile(rb"CREATE TABLE `(.+)` \($")
_COMPLETE = b"-- Dump completed"
_GZIP = b"\x1f\x8b"


@dataclass(frozen=True)
class Contents:
    """What a backup is of."""

    make: Make
    tables: Sequence[str]


async def back_up(programs: Programs, url: URL, folder: Path, progress: Progress) -> Path:
    """Writes a backup into the folder and reads it to its end. Raises BackupFailed."""

    async def write(unfinished: Path) -> None:
        with progress("backing up, MiB", None) as advance, unfinished.open("wb") as file:
            await _dump(programs, url, file, in_mib(advance))
        await check_backup(unfinished, programs.make)

    return await keep_backup(folder, f"delivery-{url.database}", "sql.gz", write)


async def check_backup(file: Path, server: Make) -> Contents:
    """Reads a backup to its end. Raises BackupFailed unless it is whole, and one that this server understands."""
    try:
        contents = await asyncio.to_thread(_read_through, file)
    except (OSError, EOFError, zlib.error) as error:
        raise BackupFailed(f"{file} cannot be read to its end: {error}") from error
    if contents is None:
        raise BackupFailed(f"{file} is no backup, or one that ends too early")
    if missing := sorted(set(TABLES) - set(contents.tables)):
        raise BackupFailed(
            f"{file} is a backup, but not of a delivery database: it lacks {', '.join(missing)}"
        )
    if contents.make.title != server.title:
        raise BackupFailed(
            f"{file} is of {contents.make}, this server is {server}: neither understands the other's dumps"
        )
    if contents.make.major > server.major:
        raise BackupFailed(f"{file} is of {contents.make}, this server is the older {server}")
    return contents


@contextmanager
def opened(file: Path) -> Iterator[BinaryIO]:
    """The text of a backup, packed or not."""
    with file.open("rb") as raw:
        packed = raw.read(len(_GZIP)) == _GZIP
        raw.seek(0)
        yield cast(BinaryIO, gzip.GzipFile(fileobj=raw)) if packed else raw


def in_mib(advance: Callable[[int], None]) -> Callable[[int], None]:
    """Takes bytes and tells whole MiB."""
    done = 0

    def tell(size: int) -> None:
        nonlocal done
        advance((done + size) // MIB - done // MIB)
        done += size

    return tell


async def _dump(programs: Programs, url: URL, file: BinaryIO, advance: Callable[[int], None]) -> None:
    packer = zlib.compressobj(level=1, wbits=31)
    with option_file(url) as options:
        command = [str(programs.dump), f"--defaults-file={options}", *_flags(programs, url)]
        async with running(command) as process:
            while chunk := await process.output.read(MIB):
                file.write(packer.compress(chunk))
                advance(len(chunk))
            if complaint := await process.complaint():
                raise BackupFailed(f"{programs.dump.name} failed: {complaint}")
    file.write(packer.flush())


def _flags(programs: Programs, url: URL) -> list[str]:
    """One snapshot, row by row, with all that belongs to the database; names of databases and accounts stay out."""
    flags = [
        *("--single-transaction", "--quick", "--hex-blob", "--routines", "--triggers", "--events"),
        *("--default-character-set=utf8mb4", "--max-allowed-packet=1G", "--no-tablespaces"),
        *(f"--ignore-table={url.database}.{table}" for table in (JOURNAL, STEPS, ROWS)),
    ]
    if programs.make.title == "MySQL":
        flags.append("--set-gtid-purged=OFF")
    return [*flags, str(url.database)]


def _read_through(file: Path) -> Contents | None:
    make, tables, last = None, [], b""
    with opened(file) as text:
        for line in text:
            if make is None and (found := _SERVER.match(line.rstrip())):
                make = Make("MariaDB" if found[2] else "MySQL", int(found[1]))
            elif created := _TABLE.match(line.rstrip()[:200]):
                tables.append(created[1].decode().replace("``", "`"))
            last = line if line.strip() else last
    return Contents(make, tables) if make and last.startswith(_COMPLETE) else None
