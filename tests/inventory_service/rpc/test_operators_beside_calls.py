"""Operators are answered over connections of their own: they wait for no call."""

import grpc
from holdfast.ops.v1 import ops_pb2 as pb
from holdfast.ops.v1 import ops_pb2_grpc

from inventory_service import bootstrap
from inventory_service.persistence.named_queries import NAMED_QUERIES
from inventory_service.settings import Settings
from servicekit.process.server import Server
from tests.inventory_service.serving import ASLEEP


async def test_operators_are_answered_while_all_connections_are_in_use(inventory_url: str) -> None:
    settings = Settings(
        database_url=inventory_url, pool_size=1, listen="127.0.0.1:0", drain_pause_seconds=0, **ASLEEP
    )
    service = bootstrap.build(settings)
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

    assert info.engine == "PostgreSQL"
    assert status.applied_revision == status.expected_revision and status.contract_steps
    assert usage.indexes
    assert plan.plan
