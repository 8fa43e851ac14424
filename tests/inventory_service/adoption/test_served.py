"""An adopted database is served: its stocks can be reserved and sold, and its books agree with themselves.

HOLDFAST_ADOPTION_STOCKS=100000 makes it the long form; its time and memory are printed (pytest -s).
"""

import os
import time
from pathlib import Path

from holdfast.inventory.v1 import stock_pb2
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.inventory_service.adoption.command import Command
from tests.inventory_service.adoption.legacy_database import Legacy, lay_out
from tests.inventory_service.client import SHOP, Inventory
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
