"""The fake inventory of these tests, and the real service behind the gateway, keep one contract."""

import asyncio
import itertools
from collections.abc import AsyncIterator

import grpc
import pytest
from holdfast.inventory.v1 import inventory_pb2_grpc, stock_pb2

from delivery_service.application.stock_ports import InventoryUnreachable, TryLater
from delivery_service.gateways.inventory import InventoryGateway, open_channel
from inventory_service import bootstrap
from inventory_service.settings import Settings
from servicekit.persistence.engines import create_engine
from servicekit.process.server import Server
from servicekit.schema.migrations import Schema
from tests.client.shaky import Shaky, serving
from tests.delivery_service.fake_inventory import FakeInventory
from tests.delivery_service.inventory_contract import CHECKS, Check
from tests.support.databases import fresh_database
from tests.support.services import free_port

numbers = itertools.count(1)


@pytest.fixture(scope="module")
async def real_channel() -> AsyncIterator[grpc.aio.Channel]:
    """A channel to a real inventory server on a real Postgres."""
    async with fresh_database("postgres") as url:
        migrating = create_engine(url, pool_size=2, for_migrations=True)
        await Schema("inventory").upgrade(migrating)
        await migrating.dispose()
        server = Server(
            bootstrap.build(Settings(database_url=url, listen="127.0.0.1:0", drain_pause_seconds=0))
        )
        port = await server.start()
        channel = open_channel(f"127.0.0.1:{port}")
        yield channel
        await channel.close()
        await server.stop()


@pytest.mark.parametrize("check", CHECKS)
async def test_the_fake_keeps_the_contract(check: Check) -> None:
    inventory = FakeInventory()

    async def stock(quantity: int) -> str:
        sku = f"SKU-{next(numbers)}"
        inventory.stock[sku] = quantity
        return sku

    await check(inventory, stock, f"R{next(numbers)}")


@pytest.mark.parametrize("check", CHECKS)
async def test_the_real_service_keeps_the_contract(check: Check, real_channel: grpc.aio.Channel) -> None:
    stub = inventory_pb2_grpc.InventoryServiceStub(real_channel)

    async def stock(quantity: int) -> str:
        sku = f"SKU-{next(numbers)}"
        await stub.CreateStock(stock_pb2.CreateStockRequest(sku=sku, quantity=quantity), timeout=10)
        return sku

    await check(InventoryGateway(real_channel), stock, f"R{next(numbers)}")


async def test_a_service_that_cannot_be_reached_leaves_everything_open() -> None:
    channel = open_channel(f"127.0.0.1:{free_port()}")
    gateway = InventoryGateway(channel)

    for answer in [
        await gateway.reserve("R", {"A": 1}, ""),
        await gateway.commit("R", ""),
        await gateway.release("R", ""),
    ]:
        assert isinstance(answer, TryLater)
        assert "UNAVAILABLE" in answer.error
    with pytest.raises(InventoryUnreachable):
        await gateway.hold("R")
    with pytest.raises(InventoryUnreachable):
        _ = [hold async for hold in gateway.holds()]
    await channel.close()


async def test_every_replica_gets_calls_and_one_that_is_gone_gets_none() -> None:
    here, there = Shaky(), Shaky()
    async with serving(here) as first:
        async with serving(there) as second:
            ports = [address.rpartition(":")[2] for address in (first, second)]
            channel = open_channel("ipv4:" + ",".join(f"127.0.0.1:{port}" for port in ports))
            gateway = InventoryGateway(channel)
            async with asyncio.timeout(10):
                while not (here.asked and there.asked):
                    await gateway.reserve("R1", {"TEA": 1}, "")
        before = len(here.asked)
        for _ in range(5):
            assert not isinstance(await gateway.reserve("R1", {"TEA": 1}, ""), TryLater)
        assert len(here.asked) == before + 5
        await channel.close()
