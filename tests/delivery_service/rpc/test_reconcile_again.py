"""Reconcile after the death of a server in the midst of it."""

from pathlib import Path

import grpc
from holdfast.ops.v1 import ops_pb2
from sqlalchemy import text

from tests.delivery_service.client import DISPATCHER, Delivery
from tests.delivery_service.conftest import Running
from tests.delivery_service.rpc.reconciling import execute, reconcile
from tests.support.services import ServiceProcess


async def test_a_request_whose_server_died_is_taken_up_and_ends_with_every_repair_made_once(
    delivery: Delivery, running: Running, tmp_path: Path
) -> None:
    for number in range(1, 5):
        await delivery.create("MERCHANT_TO_USER", package_sn=f"PG{number}")
    await delivery.quiet()
    await execute(delivery, "UPDATE tigu_prepare_goods SET order_ids = '1,2'")
    environment = {
        "DELIVERY_DATABASE_URL": running.url,
        "DELIVERY_INVENTORY_ADDRESS": "127.0.0.1:9",
        "DELIVERY_EVIDENCE_URL": str(tmp_path / "photos"),
    }
    dying = ServiceProcess("delivery", environment, tmp_path / "log")
    await dying.start(HOLDFAST_CRASH_AT="reconcile.after_commit:2")
    made = []

    async with grpc.aio.insecure_channel(dying.address) as channel:
        mortal = Delivery(channel, running.engine, running.inventory)
        request = ops_pb2.ReconcileRequest(checks=["mapping"], validate_only=False, request_id="r1")
        try:
            async for answer in mortal.ops.Reconcile(request, metadata=DISPATCHER, timeout=30):
                made.append(answer.finding.subject)
        except grpc.aio.AioRpcError as error:
            assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert await dying.ended() == 137
    assert made == ["PG1"]

    answers = await reconcile(delivery, "mapping", validate_only=False, request_id="r1")

    assert [answer.finding.subject for answer in answers] == ["PG1", "PG2", "PG3", "PG4"]
    assert await delivery.findings("mapping") == []
    async with delivery.engine.connect() as connection:
        repairs = await connection.execute(text("SELECT subject FROM repair ORDER BY repair_id"))
        assert list(repairs.scalars()) == ["PG1", "PG2", "PG3", "PG4"]
    for number in range(1, 5):
        assert await delivery.events(f"PG{number}") == ["CREATE", "RECONCILE"]
