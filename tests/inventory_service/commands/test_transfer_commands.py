"""`import` and `export` against a server: what an operator types and reads."""

import argparse
import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from holdfast.inventory.v1 import stock_pb2
from sqlalchemy import text
from structlog.testing import capture_logs

from inventory_service.commands.export_stocks import EXPORT
from inventory_service.commands.import_stocks import IMPORT
from inventory_service.persistence.tables import metadata
from inventory_service.settings import Client
from servicekit.process.command_line import Command
from tests.inventory_service.client import Inventory
from tests.inventory_service.serving import ASLEEP, serving
from tests.inventory_service.transfers import books, exported

FILE = "sku,quantity,notes,gross_purchase_price\r\nA,9,first,199.90\r\nB,4,,\r\n"


@pytest.fixture(scope="module")
async def address(inventory_url: str) -> AsyncIterator[str]:
    """Where a server listens."""
    async with serving(inventory_url, **ASLEEP) as (_, address):
        yield address


async def run(command: Command[Client], address: str, *words: str) -> int:
    """Runs a command as its words say; the exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--command", default=command.name)
    command.add_arguments(parser)
    # The server of this process logs to stdout too.
    with capture_logs():
        return await command.run(parser.parse_args([*words, "--address", address]), Client())


@pytest.fixture
def csv_file(tmp_path: Path) -> Callable[[str], str]:
    def written(content: str) -> str:
        path = tmp_path / "given.csv"
        path.write_bytes(content.encode())
        return str(path)

    return written


async def emptied(inventory: Inventory) -> None:
    tables = ", ".join(table.fullname for table in metadata.sorted_tables)
    async with inventory.engine.begin() as connection:
        await connection.execute(text(f"TRUNCATE {tables}"))


async def test_a_file_is_imported_once(
    inventory: Inventory,
    address: str,
    csv_file: Callable[[str], str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = csv_file(FILE)

    assert await run(IMPORT, address, path, "--actor", "merchant:7") == 0
    first = capsys.readouterr()
    assert await run(IMPORT, address, path) == 0
    again = capsys.readouterr()
    assert await run(IMPORT, address, path, "--import-id", "new:count:") == 0

    head = f"imported into {address}: 2 created, 0 updated, 0 unchanged, 0 refused; --import-id csv-"
    assert first.out.startswith(head)
    assert first.err.splitlines() == ["import, rows sent: 2 to do", "import, rows sent: done"]
    assert again.out == first.out.replace("2 created", "0 created").replace("0 unchanged", "2 unchanged")
    assert capsys.readouterr().out.startswith(
        f"imported into {address}: 0 created, 0 updated, 2 unchanged, 0 refused; --import-id new:count:\n"
    )
    import_id = first.out.split()[-1]
    assert [entry[-1] for entry in await books(inventory)] == [
        f"9 IMPORT {import_id} merchant:7",
        f"4 IMPORT {import_id} merchant:7",
    ]


async def test_refused_rows_are_named_with_what_to_do_and_the_others_kept(
    inventory: Inventory,
    address: str,
    csv_file: Callable[[str], str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    await inventory.create("A", 5)
    await inventory.reserve("r1", {"A": 3})
    path = csv_file("sku,quantity,ean\r\nA,2,\r\nB,4,x\r\nC,1,\r\n")
    capsys.readouterr()

    assert await run(IMPORT, address, path, "--validate-only") == 1
    judged = capsys.readouterr()
    assert await exported(inventory, sku_prefix="C") == []
    assert await run(IMPORT, address, path, "--import-id", "i1") == 1
    done = capsys.readouterr()

    problems = [line for line in done.err.splitlines() if line.startswith("line ")]
    assert problems == [
        "line 2, quantity: 3 of the 5 units of A are held by r1 (order:1)",
        "line 3, ean: must be 8 to 13 digits",
    ]
    assert [line for line in judged.err.splitlines() if line.startswith("line ")] == problems
    assert (
        judged.out.startswith(f"would import into {address}: 1 created") and "--import-id csv-" in judged.out
    )
    assert done.err.endswith("repeat with --import-id i1\n")
    assert done.out.endswith(
        f"imported into {address}: 1 created, 0 updated, 0 unchanged, 2 refused; --import-id i1\n"
    )


async def test_an_export_imported_elsewhere_is_the_same_stock(
    inventory: Inventory, address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    details = stock_pb2.StockDetails(
        notes='two\nlines, "quoted"\r\nÅse 語 \U0001f600 ',
        gross_purchase_price="1234.50",
        vat_rate="19.00",
        location=" =1+1",
        external_ids={"erp": "4,7", "ü": ""},
    )
    details.purchase_time.FromJsonString("2024-05-01T10:00:00.123456Z")
    await inventory.create("A", 5, details=details)
    await inventory.create("B", 0)
    before = await exported(inventory)
    path = tmp_path / "stocks.csv"
    capsys.readouterr()

    assert await run(EXPORT, address, str(path)) == 0
    assert await run(EXPORT, address) == 0
    assert capsys.readouterr().out.encode() == path.read_bytes()
    await emptied(inventory)
    assert await run(IMPORT, address, str(path)) == 0

    after = await exported(inventory)
    assert [(s.sku, s.quantity, s.details) for s in after] == [(s.sku, s.quantity, s.details) for s in before]


async def test_an_empty_cell_clears_and_a_column_left_out_leaves(
    inventory: Inventory, address: str, csv_file: Callable[[str], str]
) -> None:
    await inventory.create("A", 5, details=stock_pb2.StockDetails(notes="n", ean="12345678"))

    assert await run(IMPORT, address, csv_file("sku,quantity,notes\nA,5,\n")) == 0

    [stock] = await exported(inventory)
    assert (stock.details.notes, stock.details.ean) == ("", "12345678")


@pytest.mark.parametrize("words", [("--validate-only",), ()], ids=["judged", "imported"])
async def test_a_row_that_cannot_be_read_is_refused_as_the_service_refuses_one(
    inventory: Inventory,
    address: str,
    csv_file: Callable[[str], str],
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
) -> None:
    content = (
        "sku,quantity,ean,purchase_time\n"
        "A,1,,\n"
        "B,abc,x,yesterday\n"
        "C,1,x,\n"
        "B,7,,\n"
        "D,99999999999999999999,,\n"
        "E\n"
        "E,3,,\n"
        "A,1,,never\n"
        "F,4,,\n"
    )
    before = await inventory.everything()

    assert await run(IMPORT, address, csv_file(content), "--import-id", "i1", *words) == 1

    told = capsys.readouterr()
    assert [line for line in told.err.splitlines() if line.startswith(("line", "…"))] == [
        "line 3, quantity: must be a whole number, not 'abc'",
        "line 3, purchase_time: must be a time such as 2024-05-01T10:00:00Z, not 'yesterday'",
        "line 3, ean: must be 8 to 13 digits",
        "line 4, ean: must be 8 to 13 digits",
        "line 5, sku: stands on line 3 already; line 5 is not applied",
        "line 6, quantity: is too large: must be from 0 to 1000000000, not '99999999999999999999'",
        "line 7: has 1 cell, the header has 4",
        "line 8, sku: stands on line 7 already; line 8 is not applied",
        "line 9, purchase_time: must be a time such as 2024-05-01T10:00:00Z, not 'never'",
        "line 9, sku: stands on line 2 already; line 9 is not applied",
    ]
    assert told.out.endswith(": 2 created, 0 updated, 0 unchanged, 7 refused; --import-id i1\n")
    if words:
        assert await inventory.everything() == before
    else:
        assert [(s.sku, s.quantity) for s in await exported(inventory)] == [("A", 1), ("F", 4)]
        assert await run(IMPORT, address, csv_file("sku,quantity\nA,8\nB,2\n"), "--import-id", "i1") == 0
        assert [(s.sku, s.quantity) for s in await exported(inventory)] == [("A", 1), ("B", 2), ("F", 4)]


async def test_of_many_bad_rows_the_first_are_named_and_all_counted(
    inventory: Inventory, address: str, csv_file: Callable[[str], str], capsys: pytest.CaptureFixture[str]
) -> None:
    rows = "".join(f"S{n},{'x' if n % 2 else '1'},{'' if n % 2 else 'x'}\n" for n in range(1400))

    assert await run(IMPORT, address, csv_file(f"sku,quantity,ean\n{rows}A,1,\n")) == 1

    told = capsys.readouterr()
    named = [line for line in told.err.splitlines() if line.startswith(("line", "…"))]
    assert [int(line.split(",")[0].split()[1]) for line in named[:-1]] == list(range(2, 1002))
    assert named[-1] == "… and 400 more problems"
    assert ": 1 created, 0 updated, 0 unchanged, 1400 refused; " in told.out


async def test_an_export_ends_quietly_when_nobody_reads_on(inventory: Inventory, address: str) -> None:
    for n in range(20):
        await inventory.create(f"S{n}", 1, details=stock_pb2.StockDetails(notes="n" * 1000))
    command = f"{sys.executable} -m inventory_service export | head -c 10; exit ${{PIPESTATUS[0]}}"

    process = await asyncio.create_subprocess_exec(
        "bash",
        "-c",
        command,
        env={**os.environ, "INVENTORY_ADDRESS": address},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()

    assert (out, err.decode(), process.returncode) == (b"sku,quanti", "export: begins\n", 141)


@pytest.mark.parametrize("content", ['sku,quantity,notes\nA,1,\nB,2,"open\n', "sku\nA\n", ""])
async def test_a_file_that_cannot_be_read_is_not_sent(
    inventory: Inventory,
    address: str,
    csv_file: Callable[[str], str],
    capsys: pytest.CaptureFixture[str],
    content: str,
) -> None:
    before = await inventory.everything()

    assert await run(IMPORT, address, csv_file(content)) == 2

    assert "the file has 1 problem; nothing was sent" in capsys.readouterr().err
    assert await inventory.everything() == before


async def test_a_service_that_is_not_there_is_told_with_what_to_do(
    csv_file: Callable[[str], str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nowhere = "127.0.0.1:9"
    target = tmp_path / "out.csv"
    target.write_text("earlier")

    assert await run(IMPORT, nowhere, csv_file(FILE), "--import-id", "i1") == 2
    told = capsys.readouterr().err
    assert await run(EXPORT, nowhere, str(target)) == 2

    assert f"import failed at {nowhere}: " in told and "(UNAVAILABLE)" in told
    assert told.endswith("what was applied is not applied again: repeat with --import-id i1\n")
    assert not tmp_path.joinpath("out.csv.part").exists()
    assert target.read_text() == "earlier"


async def test_the_commands_are_joined_by_a_pipe(inventory: Inventory, address: str) -> None:
    await inventory.create("A", 5)
    python = f"{sys.executable} -m inventory_service"

    process = await asyncio.create_subprocess_shell(
        f"{python} export --status in_stock | {python} import - --import-id copy",
        env={**os.environ, "INVENTORY_ADDRESS": address},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()

    assert (process.returncode, out.decode()) == (
        0,
        f"imported into {address}: 0 created, 0 updated, 1 unchanged, 0 refused; --import-id copy\n",
    )
    assert sorted(err.decode().splitlines()) == [
        "export: begins",
        "export: done",
        "exported 1 stock",
        "import, rows sent: 1 to do",
        "import, rows sent: done",
    ]
