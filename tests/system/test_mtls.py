"""Both services as processes that speak mTLS only, with the files of callers that are shipped."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_reflection.v1alpha import reflection_pb2
from holdfast.delivery.v1 import delivery_pb2_grpc, order_pb2, package_pb2
from holdfast.inventory.v1 import inventory_pb2_grpc, stock_pb2
from holdfast.inventory.v1 import reservation_pb2 as pb
from holdfast.ops.v1 import ops_pb2, ops_pb2_grpc

from servicekit.access.certificates import open_channel
from tests.support.databases import fresh_database
from tests.support.forks import run_command
from tests.support.services import Pair, free_port, migrate
from tests.support.tools import Certificate, Tool
from tests.support.wallet import Wallet

MERCHANT = (("actor-role", "merchant"), ("actor-id", "7"))
SYSTEM = (("actor-role", "system"), ("actor-id", "tests"))


@pytest.fixture(scope="module")
def wallet(tmp_path_factory: pytest.TempPathFactory) -> Wallet:
    return Wallet(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
async def pair(wallet: Wallet, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Pair]:
    """Both services, each with a certificate of its own."""
    async with fresh_database("postgres") as inventory_url, fresh_database("mysql") as delivery_url:
        await asyncio.gather(migrate("inventory", inventory_url), migrate("delivery", delivery_url))
        pair = Pair(inventory_url, delivery_url, tmp_path_factory.mktemp("pair"))
        pair.inventory.pems = pair.delivery.pems = wallet.pems("operator")
        try:
            await pair.inventory.start(**wallet.settings("inventory", "INVENTORY"))
            await pair.delivery.start(**wallet.settings("delivery", "DELIVERY"))
            yield pair
        finally:
            await pair.kill()


async def test_a_package_gets_its_stock_when_everybody_shows_a_certificate(
    pair: Pair, wallet: Wallet
) -> None:
    async with open_channel(pair.inventory.address, wallet.pems("shop")) as channel:
        inventory = inventory_pb2_grpc.InventoryServiceStub(channel)
        stock = stock_pb2.CreateStockRequest(sku="TEA-500", quantity=5)
        await inventory.CreateStock(stock, metadata=MERCHANT, timeout=10)
        for theft in (
            inventory.ReleaseReservation(pb.ReleaseReservationRequest(reservation_id="PG4711:1"), timeout=10),
            inventory.ReserveStock(
                pb.ReserveStockRequest(
                    reservation_id="PG4711:1",
                    holder="shop",
                    lines=[pb.ReservationLine(sku="TEA-500", quantity=1)],
                ),
                metadata=MERCHANT,
                timeout=10,
            ),
        ):
            with pytest.raises(
                grpc.aio.AioRpcError, match=r"reservation PG4711:1 is not (shop|merchant:7)'s"
            ):
                await theft
    async with open_channel(pair.delivery.address, wallet.pems("orders")) as channel:
        order = order_pb2.RegisterOrderRequest(
            order_id="4711",
            order_sn="ON4711",
            user_id="1",
            shop_id="7",
            status=order_pb2.ORDER_STATUS_PENDING_SHIPMENT,
            items=[order_pb2.OrderItem(order_item_id="1", sku="TEA-500", quantity=2)],
        )
        delivery = delivery_pb2_grpc.DeliveryServiceStub(channel)
        await delivery.RegisterOrder(order, metadata=SYSTEM, timeout=10)
    async with open_channel(pair.delivery.address, wallet.pems("shop")) as channel:
        create = package_pb2.CreatePackageRequest(
            package_sn="PG4711",
            workflow=package_pb2.WORKFLOW_MERCHANT_TO_USER,
            shop_id="7",
            order_ids=["4711"],
        )
        delivery = delivery_pb2_grpc.DeliveryServiceStub(channel)
        package = (await delivery.CreatePackage(create, metadata=MERCHANT, timeout=10)).package
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await delivery.RegisterOrder(order, metadata=SYSTEM, timeout=10)

    assert package.stock_state == package_pb2.STOCK_STATE_HELD
    assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED
    lines = [json.loads(line) for line in pair.inventory.log.read_text().splitlines()]
    assert {
        (line["identity"], line["caller"])
        for line in lines
        if "ReserveStock" in line.get("method", "") and line["code"] == "OK"
    } == {("delivery", "system:delivery")}
    (listening,) = [line for line in lines if line["event"] == "listening"]
    assert listening["security"] == "mTLS"


async def test_each_tool_asks_with_a_certificate_and_gets_nowhere_without_one(
    tool: Tool, pair: Pair, wallet: Wallet
) -> None:
    # Node.js warns of a certificate that is asked for by an IP address.
    address = pair.delivery.address.replace("127.0.0.1", "localhost")
    method = "holdfast.ops.v1.OpsService/GetServerInfo"

    tool.shows = Certificate(wallet.issue("operator"), wallet.ca)
    services = await tool.services(address)
    answered = await tool.call(address, method, {})
    streamed = await tool.call(address, "holdfast.ops.v1.OpsService/CheckConsistency", {})
    tool.shows = Certificate(wallet.issue("shop"), wallet.ca)
    forbidden = await tool.call(address, method, {})
    tool.shows = None
    in_plaintext = await tool.call(address, method, {})

    assert "holdfast.ops.v1.OpsService" in services
    assert answered.code == streamed.code == 0, answered.text + streamed.text
    assert str(wallet.folder / "delivery") in answered.text
    assert forbidden.code != 0
    assert "METHOD_NOT_ALLOWED" in forbidden.readable and "shop may not call" in forbidden.readable
    assert in_plaintext.code != 0 and "tls_folder" not in in_plaintext.text


async def test_operators_have_everything_at_an_address_of_their_own_and_nobody_has_it_elsewhere(
    pair: Pair, wallet: Wallet
) -> None:
    operators = f"127.0.0.1:{free_port()}"
    service = pair.another_inventory()
    service.pems = wallet.pems("operator")
    await service.start(**wallet.settings("inventory", "INVENTORY"), INVENTORY_ADMIN_LISTEN=operators)

    async def codes(address: str) -> set[grpc.StatusCode]:
        async with open_channel(address, service.pems) as channel:
            raw: Any = channel
            info: Any = ops_pb2_grpc.OpsServiceStub(channel).GetServerInfo(
                ops_pb2.GetServerInfoRequest(), timeout=10
            )
            servers = raw.unary_unary("/grpc.channelz.v1.Channelz/GetServers")(b"", timeout=10)
            asked = iter([reflection_pb2.ServerReflectionRequest(list_services="").SerializeToString()])
            reflection = raw.stream_stream("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo")
            told = reflection(asked, timeout=10)
            with suppress(grpc.aio.AioRpcError):
                await told.read()
            return {await call.code() for call in (info, servers, told)}

    assert await codes(service.address) == {grpc.StatusCode.UNIMPLEMENTED}
    assert await codes(operators) == {grpc.StatusCode.OK}
    assert await codes(service.address) == {grpc.StatusCode.UNIMPLEMENTED}, "what operators ask is no way in"
    assert await service.terminate() == 0


async def test_a_probe_asks_with_a_certificate(pair: Pair, wallet: Wallet) -> None:
    folder = wallet.issue("operator")
    probe = [sys.executable, "-m", "servicekit.process.health", pair.delivery.address]
    assert await asyncio.to_thread(subprocess.call, [*probe, "--tls", str(folder), str(wallet.ca)]) == 0
    assert await asyncio.to_thread(subprocess.call, probe) == 1


async def test_a_stock_file_is_imported_over_mtls(pair: Pair, wallet: Wallet, tmp_path: Path) -> None:
    file = tmp_path / "stocks.csv"
    file.write_text("sku,quantity\nCUP-1,3\n")
    address = {"INVENTORY_ADDRESS": pair.inventory.address}

    done = await run_command(
        "inventory", "import", str(file), **address, **wallet.settings("operator", "INVENTORY")
    )
    assert done.code == 0, done.errors

    (wallet.folder / "operator" / "tls.key").write_text("nothing")
    done = await run_command(
        "inventory",
        "export",
        **address,
        INVENTORY_TLS_FOLDER=str(wallet.folder / "operator"),
        INVENTORY_TLS_CA=str(wallet.ca),
    )
    assert done.code == 2
    assert "tls.key holds no private key" in done.errors


@pytest.mark.parametrize("service", ["inventory", "delivery"])
async def test_files_that_cannot_be_used_keep_a_service_from_starting(
    service: str, wallet: Wallet, tmp_path: Path
) -> None:
    prefix = service.upper()
    folder = wallet.issue("broken")
    (folder / "tls.key").write_text("nothing")
    own = {"DELIVERY_INVENTORY_ADDRESS": "127.0.0.1:9", "DELIVERY_EVIDENCE_URL": str(tmp_path / "photos")}
    driver = {"inventory": "postgresql+asyncpg", "delivery": "mysql+asyncmy"}[service]
    given = {
        f"{prefix}_DATABASE_URL": f"{driver}://nobody@127.0.0.1:9/nothing",
        f"{prefix}_TLS_FOLDER": str(folder),
        f"{prefix}_TLS_CA": str(wallet.ca),
    }

    done = await run_command(service, "serve", **own, **given)
    assert (done.code, done.errors.count("\n")) == (2, 1)
    assert "tls.key holds no private key" in done.errors

    callers = tmp_path / "callers.toml"
    callers.write_text('[shop]\nroles = ["pirate"]\n')
    wallet.issue("broken")
    done = await run_command(service, "serve", **own, **given, **{f"{prefix}_CALLERS": str(callers)})
    assert (done.code, done.errors) == (2, f"{callers}: shop: roles has no pirate\n")
