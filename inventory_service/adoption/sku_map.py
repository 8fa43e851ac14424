"""The file that gives stocks their codes: read in a stream into a table of the session, then checked by the engine."""

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from servicekit.adoption.run import AdoptionRefused
from servicekit.reports.findings import Check, Findings

TABLE = "pg_temp.adoption_sku_map"
BATCH = 5000

_CODE = re.compile(r"[A-Za-z0-9._:/-]{1,64}", re.ASCII)
_DROP = text("DROP TABLE IF EXISTS pg_temp.adoption_sku_map")
_CREATE = text("CREATE TEMP TABLE adoption_sku_map (line integer, id uuid, sku text)")
_ADD = text("INSERT INTO pg_temp.adoption_sku_map VALUES (:line, CAST(CAST(:id AS text) AS uuid), :sku)")


class SkuMapInvalid(AdoptionRefused):
    """The file is none that gives codes."""


async def load(connection: AsyncConnection, file: Path, findings: Findings) -> int:
    """Reads the file; notes every line that is no id with a code. Raises SkuMapInvalid, OSError."""
    await connection.execute(_DROP)
    await connection.execute(_CREATE)
    loaded = 0
    batch: list[dict[str, Any]] = []
    for line, stock_id, sku in _lines(file, findings):
        batch.append({"line": line, "id": stock_id, "sku": sku})
        if len(batch) == BATCH:
            await connection.execute(_ADD, batch)
            loaded, batch = loaded + len(batch), []
    if batch:
        await connection.execute(_ADD, batch)
    return loaded + len(batch)


def _lines(file: Path, findings: Findings) -> Iterator[tuple[int, str, str]]:
    with file.open(encoding="utf-8-sig", newline="") as opened:
        rows = csv.reader(opened, strict=True)
        try:
            header = next(rows, [])
            if [name.strip() for name in header] != ["id", "sku"]:
                raise SkuMapInvalid(
                    f"{file} must begin with the header id,sku; it begins with {','.join(header)}"
                )
            for row in rows:
                if not row:
                    continue
                line = f"line {rows.line_num}"
                if len(row) != 2:
                    findings.add("lines of the sku map that are not id,sku", line, f"{len(row)} values")
                    continue
                stock_id, sku = (value.strip() for value in row)
                try:
                    UUID(stock_id)
                except ValueError:
                    findings.add("lines of the sku map whose id is no UUID", line, stock_id[:60])
                    continue
                if _CODE.fullmatch(sku) is None:
                    says = "lines of the sku map whose sku is not 1 to 64 characters of A-Z a-z 0-9 . _ : / -"
                    findings.add(says, line, sku[:80])
                    continue
                yield rows.line_num, stock_id, sku
        except csv.Error as error:
            raise SkuMapInvalid(f"{file} line {rows.line_num} cannot be read: {error}") from None
        except UnicodeDecodeError:
            raise SkuMapInvalid(f"{file} line {_line_of_other_text(file)} is not UTF-8") from None


def _line_of_other_text(file: Path) -> int:
    """Text is decoded in large pieces: where one fails, the reader has not come to the line yet."""
    with file.open("rb") as opened:
        return next((number for number, line in enumerate(opened, 1) if not _is_utf8(line)), 0)


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def checks() -> Iterator[Check]:
    """What the engine can say of the codes that were loaded."""
    yield Check(
        "ids that the sku map has more than once",
        f"SELECT id::text AS row, 'lines ' || string_agg(line::text, ', ' ORDER BY line) AS problem FROM {TABLE}"
        " GROUP BY id HAVING count(*) > 1",
    )
    yield Check(
        "skus that the sku map gives more than once",
        f"SELECT sku AS row, 'lines ' || string_agg(line::text, ', ' ORDER BY line) AS problem FROM {TABLE}"
        " GROUP BY sku HAVING count(*) > 1",
    )
    yield Check(
        "ids of the sku map that are no stock",
        f"SELECT k.id::text AS row, 'line ' || k.line AS problem FROM {TABLE} k"
        " WHERE NOT EXISTS (SELECT FROM inventory.stock s WHERE s.id = k.id)",
    )
    yield Check(
        "stocks that the sku map leaves out",
        "SELECT s.id::text AS row, '' AS problem FROM inventory.stock s"
        f" WHERE NOT EXISTS (SELECT FROM {TABLE} k WHERE k.id = s.id)",
    )
