"""Reflection, asked by the two tools that people use."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest

from servicekit.process.health import Health
from servicekit.rpc import reflection
from tests.servicekit.scripts import write_history
from tests.servicekit.shop import build
from tests.support.tools import BufCurl, Grpcurl

OPS = "holdfast.ops.v1.OpsService"
HEALTH = "grpc.health.v1.Health"


@pytest.fixture
async def address(tmp_path: Path) -> AsyncIterator[str]:
    """A server with OpsService, health and reflection; its database is not there and not asked."""
    service, _ = build("postgresql+asyncpg://127.0.0.1:9/none", write_history(tmp_path / "shop"))
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    service.register(server)
    Health((OPS,)).register(server)
    reflection.register(server, (OPS, HEALTH), asyncio.Event())
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield f"127.0.0.1:{port}"
    await server.stop(None)
    await service.engine.dispose()


async def grpcurl(*words: str) -> tuple[int, str]:
    said = await Grpcurl().run(*words)
    return said.code, said.text


async def buf_curl(protocol: str, place: str, *words: str) -> tuple[int, str]:
    said = await BufCurl(protocol).run(place, *words)
    return said.code, said.text


async def test_grpcurl_lists_services_and_methods(address: str) -> None:
    code, services = await grpcurl(address, "list")
    assert code == 0
    assert services.split() == [
        HEALTH,
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
        OPS,
    ]

    code, methods = await grpcurl(address, "list", OPS)
    assert code == 0
    assert f"{OPS}.CheckConsistency" in methods.split()


@pytest.mark.parametrize(
    ("symbol", "expected"),
    [
        (OPS, "rpc CheckConsistency"),
        (f"{OPS}.CheckConsistency", "returns ( stream .holdfast.ops.v1.CheckConsistencyResponse )"),
        ("holdfast.ops.v1.Finding", "map<string, string> facts = 4;"),
        ("holdfast.ops.v1.OutboxState", "OUTBOX_STATE_PARKED = 4;"),
        (f"{HEALTH}.Check", "grpc.health.v1.HealthCheckRequest"),
        ("grpc.reflection.v1.ServerReflection", "grpc.reflection.v1.ServerReflectionRequest"),
        ("google.protobuf.Timestamp", "int64 seconds = 1;"),
    ],
)
async def test_grpcurl_describes_services_methods_messages_and_enums(
    address: str, symbol: str, expected: str
) -> None:
    code, description = await grpcurl(address, "describe", symbol)

    assert code == 0, description
    assert expected in description


@pytest.mark.parametrize("symbol", [f"{OPS}.NoSuchMethod", "holdfast.ops.v1.NoSuchThing", "nothing", "a.b.c"])
async def test_grpcurl_is_told_what_is_not_there(address: str, symbol: str) -> None:
    code, complaint = await grpcurl(address, "describe", symbol)

    assert code != 0
    assert "not found" in complaint.lower() or "not expose" in complaint.lower()


async def test_grpcurl_calls_a_method_with_nothing_but_the_address(address: str) -> None:
    code, answer = await grpcurl("-d", "{}", address, f"{OPS}/GetServerInfo")

    assert code == 0, answer
    assert json.loads(answer)["service"] == "shop"


@pytest.mark.parametrize("protocol", ["grpc-v1", "grpc-v1alpha"])
async def test_buf_lists_methods_and_calls_one_over_either_version(address: str, protocol: str) -> None:
    code, methods = await buf_curl(protocol, address, "--list-methods")
    assert code == 0, methods
    assert f"{OPS}/CheckConsistency" in methods.split()
    assert "grpc.reflection.v1.ServerReflection/ServerReflectionInfo" in methods.split()

    code, answer = await buf_curl(protocol, f"{address}/{OPS}/GetServerInfo", "-d", "{}")
    assert code == 0, answer
    assert json.loads(answer)["service"] == "shop"


@pytest.mark.parametrize(
    ("symbol", "comment"),
    [
        (OPS, "Shows the engine's plan of one of the service's named queries."),
        (f"{OPS}.CheckConsistency", "Streams every inconsistency it finds"),
        ("holdfast.ops.v1.Finding", "A place where two records that must agree do not."),
    ],
)
async def test_grpcurl_describes_with_the_comments_of_the_contract(
    address: str, symbol: str, comment: str
) -> None:
    code, described = await grpcurl(address, "describe", symbol)

    assert code == 0
    assert comment in described
