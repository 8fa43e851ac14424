"""An adopted database is served: its stocks can be reserved and sold, and its books agree with themselves.

HOLDFAST_ADOPTION_STOCKS=100000 makes it the long form; its time and memory are printed (pytest -s).
"""

import asyncio
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from holdfast.inventory.v1 import stock_pb2
from sqlalchemy.ext.asyncio import AsyncEngine

from inventory_service.adoption.run import Request
from tests.inventory_service.adoption.command import Command
from tests.inventory_service.adoption.conftest import SCHEMA, Adopt, run_adoption
from tests.inventory_service.adoption.legacy_database import Legacy, lay_out
from tests.inventory_service.client import SHOP, Inventory, refused
from tests.inventory_service.serving import channel_to
from tests.migrations.inventory.legacy import rows

STOCKS = int(os.environ.get("HOLDFAST_ADOPTION_STOCKS", "200"))
MOST_MEGABYTES = 200


async def test_adopted_stock_is_reserved_and_sold_by_its_code(
    engine: AsyncEngine, command: Command, postgres_url: str, tmp_path: Path, folder: Path
) -> None:
    await lay_out(engine, Legacy(stocks=STOCKS, split=2, flags=True, reservations=True, zone=False))
    skus = tmp_path / "skus.csv"
    ids = await rows(engine, "SELECT id, substr(notes, 6) FROM inventory.stock")
    skus.write_text("id,sku\n" + "".join(f"{stock_id},LEG-{number}\n" for stock_id, number in ids))

    began = time.monotonic()
    done = await command(
        "adopt", "--sku-map", str(skus), "--time-zone", "Europe/Berlin", "--backup", str(folder)
    )

    assert done.code == 0, done.errors
    print(
        f"\n{STOCKS} stocks adopted in {time.monotonic() - began:.1f} s, {done.megabytes:.0f} MB at most\n{done.output}"
    )
    assert 0 < done.megabytes < MOST_MEGABYTES
    async with channel_to(postgres_url) as (_, channel):
        inventory = Inventory(channel, engine)
        # Row 31 was "reserved": 5 units, 1 of them held by somebody until the day after tomorrow.
        assert await inventory.levels("LEG-31") == (5, 1, 4)
        await inventory.reserve("new-1", {"LEG-31": 4})
        await inventory.commit("new-1")
        assert await inventory.levels("LEG-31") == (1, 1, 0)
        listed = await inventory.stub.GetStock(
            stock_pb2.GetStockRequest(sku="LEG-19"), metadata=SHOP, timeout=10
        )
        assert [listing.platform for listing in listed.stock.listings] == [
            stock_pb2.PLATFORM_GOAT,
            stock_pb2.PLATFORM_LOCAL,
        ]
        assert await inventory.findings() == []


class _Interrupted(BaseException):
    """Somebody pressed the keys."""


@contextmanager
def _until_verified(title: str, _total: int | None) -> Iterator[Callable[[int], None]]:
    if title == "verifying":
        raise _Interrupted
    yield lambda done: None


async def test_a_server_that_waits_does_not_serve_before_all_is_verified(
    engine: AsyncEngine, adopt: Adopt, postgres_url: str, folder: Path
) -> None:
    await lay_out(engine, Legacy(stocks=20, split=0))
    with pytest.raises(_Interrupted):
        await run_adoption(engine, Request(folder=folder, without_backup=True), _until_verified)

    async with channel_to(postgres_url) as (_, channel):
        health: Any = health_pb2_grpc.HealthStub(channel)
        inventory = Inventory(channel, engine)
        told = await health.Check(health_pb2.HealthCheckRequest(), timeout=10)
        assert told.status == health_pb2.HealthCheckResponse.NOT_SERVING
        assert (await refused(inventory.create("NEW"))).code == grpc.StatusCode.UNAVAILABLE
        assert await SCHEMA.applied(engine) == SCHEMA.history()[-2].id

        assert "differs" not in await adopt()

        async with asyncio.timeout(10):
            async for told in health.Watch(health_pb2.HealthCheckRequest()):
                if told.status == health_pb2.HealthCheckResponse.SERVING:
                    break
        await inventory.create("NEW")
        assert await inventory.findings() == []
