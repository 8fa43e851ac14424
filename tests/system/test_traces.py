"""One trace from a caller's span through both services, their SQL and the relay between them."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from holdfast.delivery.v1 import package_pb2

from servicekit import traces
from tests.support.collector import Collector, Seen, collecting
from tests.support.databases import fresh_database
from tests.support.services import Pair, migrate
from tests.support.town import Town

CREATE = "holdfast.delivery.v1.DeliveryService/CreatePackage"
RESERVE = "holdfast.inventory.v1.InventoryService/ReserveStock"


@dataclass
class Traced:
    """Both services, and the collector that they tell."""

    pair: Pair
    town: Town
    collector: Collector


@pytest.fixture
async def traced(delivery_engine: str, tmp_path: Path) -> AsyncIterator[Traced]:
    """Both services as processes that send their spans within a tenth of a second."""
    async with (
        collecting() as collector,
        fresh_database("postgres") as inventory_url,
        fresh_database(delivery_engine) as delivery_url,
    ):
        await asyncio.gather(migrate("inventory", inventory_url), migrate("delivery", delivery_url))
        pair = Pair(inventory_url, delivery_url, tmp_path)
        soon = {"OTEL_BSP_SCHEDULE_DELAY": "100"}
        try:
            await pair.inventory.start(INVENTORY_OTLP_ENDPOINT=collector.endpoint, **soon)
            await pair.delivery.start(DELIVERY_OTLP_ENDPOINT=collector.endpoint, **soon)
            town = Town(pair)
            await town.found()
            yield Traced(pair, town, collector)
            await town.close()
        finally:
            await pair.kill()


async def created_in_a_trace(traced: Traced) -> str:
    """A package is created by a caller with a span of its own; answers the id of the trace."""
    town = traced.town
    items = {await town.stock(5): 2}
    request = town.package_request(package_pb2.WORKFLOW_MERCHANT_TO_USER, await town.order(items))
    trace_id = secrets.token_hex(16)
    traces.begin("shop", traced.collector.endpoint)
    try:
        with traces.span("sell", "client", of=[f"00-{trace_id}-{secrets.token_hex(8)}-01"]):
            metadata = (*town.parties.metadata("merchant"), *traces.outgoing())
            package = (await town.delivery.CreatePackage(request, metadata=metadata, timeout=10)).package
    finally:
        await traces.end()
    assert package.stock_state == package_pb2.STOCK_STATE_HELD
    return trace_id


def statements(collector: Collector, parent: Seen, system: str) -> list[str]:
    """The texts of the SQL below a span, on that engine."""
    below = collector.found(service=parent.service, parent=parent.span, kind="CLIENT")
    return [
        span.attributes["db.query.text"] for span in below if span.attributes.get("db.system.name") == system
    ]


async def test_a_call_is_one_trace_through_both_services_their_sql_and_the_relay(
    traced: Traced, delivery_engine: str
) -> None:
    trace_id = await created_in_a_trace(traced)
    collector = traced.collector

    sell = await collector.wait_for(name="sell", trace=trace_id)
    create = await collector.wait_for(service="holdfast-delivery", name=CREATE, trace=trace_id)
    relay = await collector.wait_for(service="holdfast-delivery", name="relay RESERVE", trace=trace_id)
    asked = await collector.wait_for(service="holdfast-delivery", name="ReserveStock", trace=trace_id)
    reserve = await collector.wait_for(service="holdfast-inventory", name=RESERVE, trace=trace_id)
    batch = await collector.wait_for(service="holdfast-inventory", name="batch", trace=trace_id)
    recorded = await collector.wait_for(service="holdfast-delivery", name="record answers", trace=trace_id)

    assert (sell.service, sell.kind) == ("holdfast-shop", "CLIENT")
    assert (create.parent, create.kind) == (sell.span, "SERVER")
    assert relay.parent == recorded.parent == create.span
    assert (asked.parent, asked.kind) == (relay.span, "CLIENT")
    assert (reserve.parent, reserve.kind) == (asked.span, "SERVER")
    assert batch.parent == reserve.span
    assert create.attributes["rpc.grpc.status_code"] == 0
    assert create.attributes["holdfast.call_id"] == reserve.attributes["holdfast.call_id"]
    for parent, system, words in (
        (create, delivery_engine, "INSERT INTO outbox"),
        (create, delivery_engine, "INSERT INTO tigu_prepare_goods"),
        (recorded, delivery_engine, "UPDATE outbox"),
        (batch, "postgresql", "inventory.reservation"),
    ):
        texts = statements(collector, parent, system)
        assert any(words in text for text in texts), (words, texts)
        assert collector.found(parent=parent.span, name="COMMIT")
    assert [span.error for span in collector.found(trace=trace_id)] == [None] * len(
        collector.found(trace=trace_id)
    )


async def test_the_lines_of_both_logs_name_the_trace(traced: Traced) -> None:
    trace_id = await created_in_a_trace(traced)

    for service, method in ((traced.pair.delivery, CREATE), (traced.pair.inventory, RESERVE)):
        lines = [json.loads(line) for line in service.log.read_text().splitlines() if line.startswith("{")]
        (line,) = [line for line in lines if line.get("trace_id") == trace_id and line["event"] == "call"]
        assert line["method"] == f"/{method}"


async def test_what_nobody_asked_for_is_in_no_trace(traced: Traced) -> None:
    await created_in_a_trace(traced)
    await traced.pair.delivery.terminate()
    await traced.pair.inventory.terminate()

    roots = {span.name for span in traced.collector.spans if not span.parent}
    # The town's own calls, which name no trace, begin one each; pollers and probes begin none.
    assert roots and all(name.startswith("holdfast.") for name in roots), roots
