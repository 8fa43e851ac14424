"""The archive's folder: what is written is read, or told to be damaged."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from inventory_service.application.errors import LedgerFileDamaged
from inventory_service.domain.ledger import LedgerEntry, LedgerFile, LedgerMonth
from inventory_service.gateways.ledger_folder import LedgerFolder

MONTH = LedgerMonth(2024, 2)
FIRST = LedgerEntry(1, MONTH.start, UUID(int=7), "A", 5, "RECEIVED", "", "", None, "merchant:7")
LAST = LedgerEntry(
    2**60,
    MONTH.end - timedelta(microseconds=1),
    UUID(int=2**128 - 1),
    None,
    -2_000_000_000,
    "SOLD",
    'ref "1", 2\n',
    "schön ✓ \U0001f4e6",
    "r" * 64,
    "system:delivery",
)
BATCHES = [[FIRST, LAST], [FIRST]]


async def _entries(batches: list[list[LedgerEntry]]) -> AsyncIterator[list[LedgerEntry]]:
    for batch in batches:
        yield batch


async def written(folder: Path, batches: list[list[LedgerEntry]]) -> LedgerFile:
    """A file of the month."""
    return await LedgerFolder(folder).write(MONTH, _entries(batches))


async def test_what_is_written_is_read_to_the_microsecond(tmp_path: Path) -> None:
    file = await written(tmp_path, BATCHES)

    assert list(LedgerFolder(tmp_path).entries(file)) == BATCHES
    assert (file.row_count, file.delta_sum) == (3, -1_999_999_990)


async def test_other_programs_read_it_as_parquet_with_times_in_utc(tmp_path: Path) -> None:
    file = await written(tmp_path, BATCHES)

    parquet = pq.ParquetFile(tmp_path / file.name)
    assert parquet.schema_arrow.field("create_time").type == pa.timestamp("us", tz="UTC")
    assert parquet.schema_arrow.names == list(LedgerEntry._fields)
    assert parquet.metadata.row_group(0).column(0).compression == "ZSTD"
    assert file.name.startswith("inventory.stock_movement.2024-02.")


async def test_the_manifest_says_what_the_file_must_be(tmp_path: Path) -> None:
    file = await written(tmp_path, BATCHES)
    assert os.listdir(tmp_path) == [file.name]  # noqa: PTH208

    LedgerFolder(tmp_path).describe(file)

    manifest = json.loads((tmp_path / file.name).with_suffix(".json").read_text())
    assert (
        manifest["sha256"] == hashlib.sha256((tmp_path / file.name).read_bytes()).hexdigest() == file.sha256
    )
    assert (manifest["file"], manifest["month"], manifest["rows"]) == (file.name, "2024-02", 3)
    assert manifest["delta_sum"] == -1_999_999_990


async def test_a_file_that_is_elsewhere_gets_no_manifest_here(tmp_path: Path) -> None:
    file = await written(tmp_path, BATCHES)
    (tmp_path / file.name).unlink()

    LedgerFolder(tmp_path).describe(file)

    assert os.listdir(tmp_path) == []  # noqa: PTH208


async def test_a_month_without_movements_has_a_file_too(tmp_path: Path) -> None:
    file = await written(tmp_path, [])

    assert list(LedgerFolder(tmp_path).entries(file)) == []
    assert (file.row_count, file.delta_sum) == (0, 0)


@pytest.mark.parametrize("place", [0, 100, 0.5, -1])
async def test_one_damaged_byte_is_noticed_before_the_first_entry(tmp_path: Path, place: float) -> None:
    file = await written(tmp_path, BATCHES)
    content = bytearray((tmp_path / file.name).read_bytes())
    content[int(place * len(content)) if place == 0.5 else int(place)] ^= 1
    (tmp_path / file.name).write_bytes(content)

    with pytest.raises(LedgerFileDamaged, match="SHA-256"):
        next(LedgerFolder(tmp_path).entries(file))


async def test_a_missing_file_is_told_by_name(tmp_path: Path) -> None:
    file = await written(tmp_path, BATCHES)
    (tmp_path / file.name).unlink()

    with pytest.raises(LedgerFileDamaged, match=f"{file.name} .*No such file"):
        next(LedgerFolder(tmp_path).entries(file))


async def test_the_same_entries_give_the_same_file_and_others_another(tmp_path: Path) -> None:
    first = await written(tmp_path, BATCHES)

    again = await written(tmp_path, BATCHES)
    other = await written(tmp_path, [[LAST]])

    assert again == first
    assert other.name != first.name
    assert list(LedgerFolder(tmp_path).entries(first)) == BATCHES
    assert len(os.listdir(tmp_path)) == 2  # noqa: PTH208


def test_a_process_that_opens_no_folder_loads_no_library_for_parquet() -> None:
    script = "import sys, inventory_service.__main__; print('pyarrow' in sys.modules)"

    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert loaded.stdout == "False\n"
