"""Both services through the tools that people use, which know nothing but an address."""

import base64
import json
from collections.abc import AsyncIterator
from importlib import resources
from pathlib import Path

import pytest
from holdfast.delivery.v1 import package_pb2

from devtools.journey import photo
from tests.contracts.stubs import SERVICES
from tests.support.databases import fresh_database
from tests.support.services import Pair, ServiceProcess
from tests.support.tools import BufCurl, NodeClient, Tool
from tests.support.town import Town, ids

pytestmark = pytest.mark.parametrize("pair", ["mysql"], indirect=True)

INVENTORY, DELIVERY, OPS = (SERVICES[name].full_name for name in ("inventory", "delivery", "ops"))
BESIDE = {
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
}
SYSTEM = {"actor-role": "system", "actor-id": "tests"}


async def test_it_lists_services_and_their_methods(tool: Tool, pair: Pair) -> None:
    for address, own in ((pair.inventory.address, INVENTORY), (pair.delivery.address, DELIVERY)):
        assert set(await tool.services(address)) >= {own, OPS} | (
            set() if isinstance(tool, BufCurl) else BESIDE
        )
    for service in SERVICES.values():
        address = pair.delivery.address if service is SERVICES["delivery"] else pair.inventory.address
        listed = await tool.methods(address, service.full_name)
        assert sorted(listed) == sorted(method.name for method in service.methods)


async def test_a_call_needs_nothing_but_the_address(tool: Tool, pair: Pair) -> None:
    sku = f"AJ1-{next(ids)}"

    created = await tool.call(
        pair.inventory.address, f"{INVENTORY}/CreateStock", {"sku": sku, "quantity": "5"}
    )
    info = await tool.call(pair.delivery.address, f"{OPS}/GetServerInfo", {})

    assert created.code == 0, created.text
    stock = created.messages[0]["stock"]
    assert (stock["sku"], stock["quantity"], stock["status"]) == (sku, "5", "STOCK_STATUS_IN_STOCK")
    assert (info.messages[0]["service"], info.messages[0]["engine"]) == ("delivery", "MySQL")


async def test_a_refusal_names_its_reason_and_every_violation(tool: Tool, pair: Pair) -> None:
    lines = [{"sku": "TEA-500", "quantity": "0"}, {"sku": "two words", "quantity": "1"}]
    wish = {"reservationId": "R-1", "holder": "tests", "lines": lines}

    refused = await tool.call(pair.inventory.address, f"{INVENTORY}/ReserveStock", wish)

    assert refused.code != 0
    for told in ("google.rpc.ErrorInfo", "FIELD_INVALID", "inventory.holdfast", "google.rpc.BadRequest"):
        assert told in refused.readable
    assert "lines[0].quantity" in refused.readable and "lines[1].sku" in refused.readable


async def test_a_refused_step_says_what_is_missing(tool: Tool, pair: Pair, town: Town) -> None:
    order_id = await town.order({await town.stock(1): 1})
    merchant = dict(town.parties.metadata("merchant"))
    wish = {"workflow": "WORKFLOW_MERCHANT_TO_USER", "shopId": town.parties.shop_id, "orderIds": [order_id]}
    created = await tool.call(pair.delivery.address, f"{DELIVERY}/CreatePackage", wish, metadata=merchant)
    package = created.messages[0]["package"]

    refused = await tool.call(
        pair.delivery.address,
        f"{DELIVERY}/PreparePackage",
        {"packageSn": package["packageSn"]},
        metadata=merchant,
    )

    assert package["stockState"] == "STOCK_STATE_HELD"
    assert refused.code != 0
    for told in (
        "EVIDENCE_MISSING",
        "PREPARE needs a photo of kind PREPARATION",
        "google.rpc.PreconditionFailure",
    ):
        assert told in refused.readable


@pytest.fixture
async def unmigrated(pair: Pair, tmp_path: Path) -> AsyncIterator[ServiceProcess]:
    """An inventory server whose database nobody migrated."""
    async with fresh_database("postgres") as url:
        process = ServiceProcess("inventory", {"INVENTORY_DATABASE_URL": url}, tmp_path / "unmigrated.log")
        process.launch()
        try:
            yield process
        finally:
            await process.kill()


async def test_a_server_that_cannot_serve_says_when_to_come_again(
    tool: Tool, unmigrated: ServiceProcess
) -> None:
    await unmigrated.listening()

    refused = await tool.call(unmigrated.address, f"{INVENTORY}/GetStock", {"sku": "TEA-500"})

    assert refused.code != 0
    for told in ("DATABASE_UNAVAILABLE", "google.rpc.RetryInfo"):
        assert told in refused.readable


async def test_streams_go_both_ways(tool: Tool, pair: Pair) -> None:
    sku = f"TEA-{next(ids)}"
    rows = [{"row": {"line": 1, "sku": sku, "quantity": "3"}}, {"row": {"line": 2, "sku": "two words"}}]
    wishes = [
        {
            "correlationId": name,
            "reserve": {
                "reservationId": f"{sku}:{name}",
                "holder": "tests",
                "lines": [{"sku": sku, "quantity": quantity}],
            },
        }
        for name, quantity in (("small", "2"), ("large", "200"))
    ]

    imported = await tool.call(
        pair.inventory.address,
        f"{INVENTORY}/ImportStocks",
        {"options": {"importId": sku}},
        *rows,
        metadata=SYSTEM,
    )
    reserved = await tool.call(pair.inventory.address, f"{INVENTORY}/ReserveStockStream", *wishes)
    exported = await tool.call(pair.inventory.address, f"{INVENTORY}/ExportStocks", {"skuPrefix": sku})

    assert imported.code == 0, imported.text
    (summary,) = imported.messages
    assert (summary["createdCount"], summary["refusedCount"]) == ("1", "1")
    outcomes = {answer["correlationId"]: answer for answer in reserved.messages}
    assert outcomes["small"]["reservation"]["state"] == "RESERVATION_STATE_HELD"
    assert outcomes["large"]["refusal"]["reason"] == "INSUFFICIENT_STOCK"
    (stock,) = [answer["stock"] for answer in exported.messages]
    assert (stock["sku"], stock["reservedQuantity"]) == (sku, "2")


async def test_a_photo_goes_up_and_comes_back(tool: Tool, pair: Pair, town: Town) -> None:
    order_id = await town.order({await town.stock(1): 1})
    package = await town.create(town.package_request(package_pb2.WORKFLOW_MERCHANT_TO_USER, order_id))
    merchant = dict(town.parties.metadata("merchant"))
    content = photo(package.package_sn)
    header = {"packageSn": package.package_sn, "kind": "EVIDENCE_KIND_PREPARATION"}
    chunks = [
        {"chunk": base64.b64encode(content[at : at + 300]).decode()} for at in range(0, len(content), 300)
    ]

    kept = await tool.call(
        pair.delivery.address, f"{DELIVERY}/UploadEvidence", {"header": header}, *chunks, metadata=merchant
    )
    evidence_id = kept.messages[0]["evidence"]["evidenceId"]
    back = await tool.call(
        pair.delivery.address, f"{DELIVERY}/DownloadEvidence", {"evidenceId": evidence_id}, metadata=merchant
    )

    assert len(chunks) > 1
    assert b"".join(base64.b64decode(part.get("chunk", "")) for part in back.messages) == content


async def test_the_service_config_beside_the_contract_serves_a_channel_of_another_language(
    node_client: NodeClient, unmigrated: ServiceProcess
) -> None:
    await unmigrated.listening()
    config = resources.files("holdfast").joinpath("inventory/v1/inventory_service_config.json").read_text()

    for options, tries in (({}, 1), ({"grpc.service_config": json.dumps(json.loads(config))}, 4)):
        before = unmigrated.log.read_text().count("InventoryService/GetStock")
        refused = await node_client.call(
            unmigrated.address, f"{INVENTORY}/GetStock", {"sku": "TEA-500"}, options=options
        )
        assert refused.code != 0
        assert unmigrated.log.read_text().count("InventoryService/GetStock") - before == tries
