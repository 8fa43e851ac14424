"""Where operators are served, and what whoever connects is allowed."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_channelz.v1 import channelz_pb2, channelz_pb2_grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from holdfast.ops.v1 import ops_pb2 as pb
from holdfast.ops.v1 import ops_pb2_grpc

from servicekit import traces
from servicekit.process import listeners
from servicekit.settings import admin_address
from tests.servicekit.probing import ASK, ask, probed
from tests.servicekit.raw_peer import HEADERS, REFUSED_STREAM, RESET, raw_peer, window
from tests.support.collector import collecting

OPS = "holdfast.ops.v1.OpsService"
CHANNELZ = "grpc.channelz.v1.Channelz"


@pytest.fixture
async def addresses(tmp_path: Path) -> AsyncIterator[tuple[str, str]]:
    """A server's address for everybody and that for operators."""
    async with probed(tmp_path, grpc_services=(), admin_listen="localhost:0") as (server, address):
        yield address, f"127.0.0.1:{server.admin_port}"


@pytest.fixture(params=[False, True], ids=["untraced", "traced"])
async def traced(request: pytest.FixtureRequest) -> AsyncIterator[None]:
    """Without a collector and with one: then there is one interceptor more."""
    if not request.param:
        yield
        return
    async with collecting() as collector:
        traces.begin("shop", collector.endpoint)
        yield
        await traces.end()


async def reflected(channel: grpc.aio.Channel) -> set[str]:
    untyped: Any = reflection_pb2_grpc
    stub = untyped.ServerReflectionStub(channel)
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    (answer,) = [each async for each in stub.ServerReflectionInfo(iter([request]), timeout=5)]
    return {service.name for service in answer.list_services_response.service}


async def servers(channel: grpc.aio.Channel) -> Any:
    """What channelz tells of the servers of the process."""
    untyped: Any = channelz_pb2_grpc
    request = channelz_pb2.GetServersRequest()
    return (await untyped.ChannelzStub(channel).GetServers(request, timeout=5)).server


async def code_of(call: Any) -> grpc.StatusCode:
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK


async def test_what_is_for_operators_is_at_their_address_alone(
    traced: None, addresses: tuple[str, str]
) -> None:
    everybody, operators = addresses
    async with grpc.aio.insecure_channel(everybody) as channel:
        stub: Any = ops_pb2_grpc.OpsServiceStub(channel)
        assert await code_of(stub.GetServerInfo(pb.GetServerInfoRequest(), timeout=5)) is (
            grpc.StatusCode.UNIMPLEMENTED
        )
        assert await code_of(servers(channel)) is grpc.StatusCode.UNIMPLEMENTED
        assert await code_of(reflected(channel)) is grpc.StatusCode.UNIMPLEMENTED
        assert (await ask(channel)).plan == "anonymous"

    async with grpc.aio.insecure_channel(operators) as channel:
        stub = ops_pb2_grpc.OpsServiceStub(channel)
        assert (await stub.GetServerInfo(pb.GetServerInfoRequest(), timeout=5)).service == "shop"
        assert {OPS, CHANNELZ, "grpc.health.v1.Health"} <= await reflected(channel)
        assert (await ask(channel)).plan == "anonymous"
        assert await code_of(servers(channel)) is grpc.StatusCode.OK

    # What operators have asked before is no way in.
    async with grpc.aio.insecure_channel(everybody) as channel:
        stub = ops_pb2_grpc.OpsServiceStub(channel)
        again = await code_of(stub.GetServerInfo(pb.GetServerInfoRequest(), timeout=5))
        assert again is grpc.StatusCode.UNIMPLEMENTED
        assert await code_of(servers(channel)) is grpc.StatusCode.UNIMPLEMENTED


async def test_health_is_at_both(addresses: tuple[str, str]) -> None:
    for address in addresses:
        async with grpc.aio.insecure_channel(address) as channel:
            stub: Any = health_pb2_grpc.HealthStub(channel)
            answer = await stub.Check(health_pb2.HealthCheckRequest(), timeout=5)
        assert answer.status == health_pb2.HealthCheckResponse.NOT_SERVING


async def test_without_an_address_of_their_own_operators_are_served_beside_the_others(tmp_path: Path) -> None:
    async with probed(tmp_path) as (server, address):
        assert address == f"127.0.0.1:{server.admin_port}"
        async with grpc.aio.insecure_channel(address) as channel:
            assert OPS in await reflected(channel)


@pytest.mark.parametrize(
    ("listen", "own", "expected"),
    [
        ("127.0.0.1:7411", "", "127.0.0.1:7411"),
        ("[::1]:7411", "", "[::1]:7411"),
        ("localhost:7411", "", "localhost:7411"),
        ("0.0.0.0:7411", "", "127.0.0.1:7421"),
        ("[::]:7411", "", "127.0.0.1:7421"),
        ("inventory.example:7411", "", "127.0.0.1:7421"),
        ("0.0.0.0:7411", "10.0.0.1:9", "10.0.0.1:9"),
        ("127.0.0.1:7411", "127.0.0.1:9", "127.0.0.1:9"),
    ],
)
def test_operators_are_served_on_loopback_unless_told_otherwise(listen: str, own: str, expected: str) -> None:
    assert admin_address(listen, own, "127.0.0.1:7421") == expected


async def test_channelz_tells_of_the_servers_and_how_many_calls_they_had(addresses: tuple[str, str]) -> None:
    everybody, operators = addresses
    async with grpc.aio.insecure_channel(everybody) as channel:
        for _ in range(3):
            await ask(channel)
    async with grpc.aio.insecure_channel(operators) as channel:
        assert 3 in {server.data.calls_succeeded for server in await servers(channel)}


async def test_a_message_may_have_a_mebibyte(addresses: tuple[str, str]) -> None:
    async with grpc.aio.insecure_channel(addresses[0]) as channel:
        method: Any = channel.unary_unary(ASK)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await method(b"x" * (listeners.MOST_MESSAGE_BYTES + 1), timeout=5)
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "larger than max" in str(refused.value.details())


async def test_metadata_may_have_eight_kibibytes(addresses: tuple[str, str]) -> None:
    async with grpc.aio.insecure_channel(addresses[0]) as channel:
        assert (await ask(channel, metadata=(("x-more", "x" * 6_000),))).plan == "anonymous"
        for size in (8_192, 12_000, 60_000):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await ask(channel, metadata=(("x-more", "x" * size),))
            assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert "metadata" in str(refused.value.details())


async def test_calls_beyond_the_most_at_once_are_refused_and_each_wave_is_served_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listeners, "MOST_CALLS", 4)
    async with probed(tmp_path) as (_, address), grpc.aio.insecure_channel(address) as channel:
        for _ in range(3):
            results = await asyncio.gather(
                *(ask(channel, seconds=1) for _ in range(9)), return_exceptions=True
            )
            refused = [error for error in results if isinstance(error, grpc.aio.AioRpcError)]
            assert len(refused) == 5
            assert {error.code() for error in refused} == {grpc.StatusCode.RESOURCE_EXHAUSTED}
            assert {error.details() for error in refused} == {"Concurrent RPC limit exceeded!"}


async def test_an_old_connection_takes_no_new_calls_and_none_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listeners, "CONNECTION_AGE_SECONDS", 0.5)
    peers: set[str] = set()
    async with probed(tmp_path) as (_, address), grpc.aio.insecure_channel(address) as channel:
        slow = asyncio.create_task(ask(channel, seconds=2))
        first = (await ask(channel)).query

        async def keep_asking() -> None:
            while not slow.done():
                peers.add((await ask(channel)).query)

        await asyncio.gather(*(keep_asking() for _ in range(8)))

        assert len(peers) > 1
        assert (await slow).query == first


async def test_a_call_that_outlasts_the_grace_of_an_old_connection_is_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listeners, "CONNECTION_AGE_SECONDS", 0.3)
    monkeypatch.setattr(listeners, "LEAST_GRACE_SECONDS", 0.3)
    async with probed(tmp_path) as (_, address), grpc.aio.insecure_channel(address) as channel:
        assert await code_of(ask(channel, seconds=8)) is grpc.StatusCode.UNAVAILABLE


async def test_a_call_that_may_last_longer_outlasts_the_grace_of_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listeners, "CONNECTION_AGE_SECONDS", 0.3)
    monkeypatch.setattr(listeners, "LEAST_GRACE_SECONDS", 0.1)
    probing: dict[str, Any] = {"grpc_services": ("holdfast.ops.test.Probe",), "long_calls": {ASK: 8.0}}
    async with probed(tmp_path, **probing) as (_, address), grpc.aio.insecure_channel(address) as channel:
        assert (await ask(channel, seconds=1.5)).plan == "anonymous"


@pytest.mark.parametrize(
    ("method", "request_"),
    [
        (ASK, b""),
        (f"/{OPS}/CheckConsistency", pb.CheckConsistencyRequest(checks=["ledger"]).SerializeToString()),
    ],
)
async def test_an_answer_that_is_never_taken_gives_its_place_back_with_its_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, request_: bytes
) -> None:
    monkeypatch.setattr(listeners, "MOST_CALLS", 1)
    monkeypatch.setattr(listeners, "CONNECTION_AGE_SECONDS", 0.5)
    monkeypatch.setattr(listeners, "LEAST_GRACE_SECONDS", 0.5)
    async with probed(tmp_path) as (_, address), raw_peer(address, window(0)) as silent:
        silent.call(1, method, request_)
        await silent.read_until(HEADERS)
        async with grpc.aio.insecure_channel(address) as channel:
            assert await code_of(ask(channel)) is grpc.StatusCode.RESOURCE_EXHAUSTED

        async with asyncio.timeout(8):
            while True:
                async with grpc.aio.insecure_channel(address) as channel:
                    if await code_of(ask(channel)) is grpc.StatusCode.OK:
                        break
                await asyncio.sleep(0.1)


async def test_a_stream_beyond_the_most_of_a_connection_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listeners, "MOST_STREAMS", 4)
    async with probed(tmp_path) as (_, address), raw_peer(address) as peer:
        for stream in (1, 3, 5, 7, 9):
            peer.call(stream, ASK)

        assert await peer.read_until(RESET) == (RESET, 9, REFUSED_STREAM)


async def test_calls_beyond_the_most_of_a_connection_wait_in_their_callers_grpc_and_all_are_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listeners, "MOST_STREAMS", 20)
    async with probed(tmp_path) as (_, address), grpc.aio.insecure_channel(address) as channel:
        codes = await asyncio.gather(*(code_of(ask(channel, seconds=0.05)) for _ in range(200)))

    assert set(codes) == {grpc.StatusCode.OK}


def test_the_limits_are_those_of_the_design() -> None:
    assert (listeners.MOST_MESSAGE_BYTES, listeners.MOST_METADATA_BYTES) == (1 << 20, 8 << 10)
    assert (listeners.CONNECTION_AGE_SECONDS, listeners.LEAST_GRACE_SECONDS) == (300, 120)
