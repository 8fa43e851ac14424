"""The archive of the ledger: a folder with a Parquet file for each month, and a manifest beside it.

A file is named by what is in it, its SHA-256 included. So the same entries give the same file again, another file is
never overwritten, and what a killed run left behind does no harm: only what was archived has a manifest.
"""

import hashlib
import json
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet as pq

from inventory_service.application.errors import LedgerFileDamaged
from inventory_service.domain.ledger import LedgerEntry, LedgerFile, LedgerMonth
from servicekit.crash_points import crash_point
from servicekit.durable_files import keep

SCHEMA = pa.schema(
    [
        pa.field("movement_id", pa.int64(), nullable=False),
        pa.field("create_time", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("stock_id", pa.string(), nullable=False),
        pa.field("sku", pa.string()),
        pa.field("delta", pa.int32(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("reference", pa.string(), nullable=False),
        pa.field("note", pa.string(), nullable=False),
        pa.field("reservation_id", pa.string()),
        pa.field("actor", pa.string(), nullable=False),
    ],
    metadata={"holdfast.table": "inventory.stock_movement", "holdfast.sorted_by": "create_time, movement_id"},
)
_BYTES_AT_ONCE = 1 << 20


class LedgerFolder:
    """The folder; it belongs to the archive of one database."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def write(self, month: LedgerMonth, entries: AsyncIterator[list[LedgerEntry]]) -> LedgerFile:
        unfinished = self._folder / f"{_stem(month)}.unfinished"
        row_count = delta_sum = 0
        with pq.ParquetWriter(unfinished, SCHEMA, compression="zstd") as writer:
            async for batch in entries:
                writer.write_batch(_record_batch(batch))
                row_count += len(batch)
                delta_sum += sum(entry.delta for entry in batch)
        crash_point("archive.after_rows")
        sha256 = _sha256(unfinished)
        file = LedgerFile(month, f"{_stem(month)}.{sha256[:16]}.parquet", sha256, row_count, delta_sum)
        keep(unfinished, self._folder / file.name)
        crash_point("archive.after_file")
        return file

    def describe(self, file: LedgerFile) -> None:
        path = self._folder / file.name
        manifest = path.with_suffix(".json")
        if manifest.exists() or not path.exists():
            return
        unfinished = self._folder / f"{_stem(file.month)}.json.unfinished"
        unfinished.write_text(json.dumps(_manifest(file), indent=2) + "\n")
        keep(unfinished, manifest)

    def entries(self, file: LedgerFile) -> Iterator[list[LedgerEntry]]:
        path = self._folder / file.name
        try:
            sha256 = _sha256(path)
        except OSError as error:
            raise LedgerFileDamaged(file.name, error.strerror or str(error)) from error
        if sha256 != file.sha256:
            raise LedgerFileDamaged(
                file.name, f"its SHA-256 is {sha256}, that of what was archived {file.sha256}"
            )
        with pq.ParquetFile(path) as parquet:
            for number in range(parquet.num_row_groups):
                columns = parquet.read_row_group(number).to_pydict()
                columns["stock_id"] = [UUID(text) for text in columns["stock_id"]]
                rows = zip(*(columns[name] for name in LedgerEntry._fields), strict=True)
                yield [LedgerEntry._make(row) for row in rows]


def _stem(month: LedgerMonth) -> str:
    return f"inventory.stock_movement.{month}"


def _manifest(file: LedgerFile) -> dict[str, str | int]:
    return {
        "table": "inventory.stock_movement",
        "month": str(file.month),
        "start_time": file.month.start.isoformat(),
        "end_time": file.month.end.isoformat(),
        "file": file.name,
        "sha256": file.sha256,
        "rows": file.row_count,
        "delta_sum": file.delta_sum,
    }


def _record_batch(entries: Sequence[LedgerEntry]) -> pa.RecordBatch:
    columns = dict(zip(LedgerEntry._fields, map(list, zip(*entries, strict=True)), strict=True))
    columns["stock_id"] = [str(stock_id) for stock_id in columns["stock_id"]]
    return pa.RecordBatch.from_pydict(columns, schema=SCHEMA)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as content:
        while piece := content.read(_BYTES_AT_ONCE):
            digest.update(piece)
    return digest.hexdigest()
