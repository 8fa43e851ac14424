"""Operators are answered over connections of their own: they wait for no call."""

import grpc
from holdfast.ops.v1 import ops_pb2 as pb
from holdfast.ops.v1 import ops_pb2_grpc

from delivery_service import bootstrap
from delivery_service.persistence.named_queries import NAMED_QUERIES
from delivery_service.settings import Settings
from servicekit.persistence.engines import create_engine
from servicekit.process.server import Server
from tests.delivery_service.conftest import Running


async def test_operators_are_answered_while_all_connections_are_in_use(running: Running) -> None:
    settings = Settings(
        database_url=running.url,
        inventory_address="unused",
        evidence_url=str(running.photos),
        listen="127.0.0.1:0",
        pool_size=1,
        legacy_follow_seconds=0,
        drain_pause_seconds=0,
    )
    service = bootstrap.assemble(settings, create_engine(running.url, pool_size=1), running.inventory)
    server = Server(service)
    port = await server.start()
    query = next(iter(NAMED_QUERIES))
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel, service.engine.connect():
            stub = ops_pb2_grpc.OpsServiceStub(channel)
            info = await stub.GetServerInfo(pb.GetServerInfoRequest(), timeout=3)
            status = await stub.GetMigrationStatus(pb.GetMigrationStatusRequest(), timeout=3)
            usage = await stub.GetIndexUsage(pb.GetIndexUsageRequest(), timeout=3)
            plan = await stub.ExplainQuery(pb.ExplainQueryRequest(query=query), timeout=3)
    finally:
        await server.stop()

    assert info.engine in ("MySQL", "MariaDB")
    assert status.applied_revision == status.expected_revision and status.contract_steps
    assert usage.indexes
    assert plan.plan
