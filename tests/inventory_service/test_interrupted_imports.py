"""Imports whose server is killed or whose database drops connections end, repeated, as one that went through."""

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from holdfast.inventory.v1 import transfer_pb2 as pb
from sqlalchemy import text

from tests.inventory_service.client import Inventory
from tests.inventory_service.serving import serving
from tests.inventory_service.transfers import books, counts, imported, row
from tests.support.services import ServiceProcess

PARTS = 3
ROWS = [row(f"S{number:04}", number % 7, notes=f"note {number}") for number in range(PARTS * 500 - 123)]


@pytest.fixture
async def process(inventory_url: str, tmp_path: Path) -> AsyncIterator[ServiceProcess]:
    """A server of its own process on the same database; not started."""
    environment = {"INVENTORY_DATABASE_URL": inventory_url, "INVENTORY_SWEEP_SECONDS": "3600"}
    server = ServiceProcess("inventory", environment, tmp_path / "inventory.log")
    yield server
    await server.kill()


def expected() -> list[tuple[str, int, str, str]]:
    """(sku, quantity, notes, ledger) of each stock once all rows are applied; the last of the ledger is the caller."""
    return [
        (each.sku, each.quantity, each.details.notes, f"{each.quantity} IMPORT i1 merchant:7")
        for each in ROWS
    ]


async def found(inventory: Inventory) -> list[tuple[str, int, str, str]]:
    """The same of what the books have; a stock without units has no ledger."""
    return [
        (entry[0], entry[1], entry[3], entry[-1] or f"{entry[1]} IMPORT i1 merchant:7")
        for entry in await books(inventory)
    ]


async def send(address: str) -> grpc.StatusCode:
    """An import that must not succeed; its code."""
    async with grpc.aio.insecure_channel(address) as channel:
        caller = Inventory(channel, None)  # type: ignore[arg-type]
        with pytest.raises(grpc.aio.AioRpcError) as cut:
            await imported(caller, ROWS)
        return cut.value.code()


@pytest.mark.parametrize("place", ["import.before_commit:3", "import.after_commit:2"])
async def test_a_server_that_dies_around_a_commit(
    inventory: Inventory, process: ServiceProcess, place: str
) -> None:
    await process.start(HOLDFAST_CRASH_AT=place)

    assert await send(process.address) is grpc.StatusCode.UNAVAILABLE

    assert await process.ended() == 137
    assert len(await books(inventory)) == 1000
    assert counts(await imported(inventory, ROWS)) == (len(ROWS) - 1000, 0, 1000, 0)
    assert await found(inventory) == expected()


async def test_a_server_that_is_killed_at_any_moment(inventory: Inventory, process: ServiceProcess) -> None:
    await process.start()
    sending = asyncio.create_task(send(process.address))
    await asyncio.sleep(random.uniform(0.1, 0.7))

    await process.kill()
    await sending

    done = await imported(inventory, ROWS)
    assert done.created_count + done.unchanged_count == len(ROWS)
    assert await found(inventory) == expected()


async def test_a_database_that_drops_every_connection_again_and_again(inventory: Inventory) -> None:
    drop = text(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )

    async def insist() -> pb.ImportStocksResponse:
        while True:
            try:
                return await imported(inventory, ROWS)
            except grpc.aio.AioRpcError as error:
                assert error.code() is grpc.StatusCode.UNAVAILABLE, error

    sending = asyncio.create_task(insist())
    async with inventory.engine.connect() as connection:
        for _ in range(6):
            await asyncio.sleep(random.uniform(0.05, 0.3))
            await connection.execute(drop)

    done = await sending
    assert done.created_count + done.unchanged_count == len(ROWS)
    assert await found(inventory) == expected()


async def test_lines_of_a_stream_that_died_are_swept(inventory: Inventory, inventory_url: str) -> None:
    left = text(
        "INSERT INTO inventory.import_stream_line SELECT gen_random_uuid(), 'A', 1, now() - make_interval(days => d)"
        " FROM generate_series(0, 2) AS d"
    )
    rows = text(
        "INSERT INTO inventory.imported_row SELECT 'i' || d, 'A', now() - make_interval(days => d)"
        " FROM generate_series(28, 32, 3) AS d"
    )
    async with inventory.engine.begin() as connection:
        await connection.execute(left)
        await connection.execute(rows)
    async with serving(inventory_url):
        for _ in range(100):
            kept = await inventory.everything()
            if len(kept["import_stream_line"]) == 1:
                break
            await asyncio.sleep(0.05)

    assert len(kept["import_stream_line"]) == 1
    assert [entry.split("'")[1] for entry in kept["imported_row"]] == ["i28"]
