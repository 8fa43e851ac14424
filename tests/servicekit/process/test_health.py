import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from servicekit.process.health import Health, check, main
from tests.servicekit.raw_peer import HEADERS, raw_peer, window

ROOT = Path(__file__).parents[3]
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
MESSAGES: Any = health_pb2


@asynccontextmanager
async def open_health() -> AsyncIterator[tuple[Health, Any, str]]:
    """Health of two services upon a real port, a caller's stub and the address."""
    health = Health(("holdfast.a.v1.A", "holdfast.b.v1.B"))
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    health.register(server)
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    try:
        async with grpc.aio.insecure_channel(address) as channel:
            yield health, health_pb2_grpc.HealthStub(channel), address
    finally:
        health.end_watches()
        await server.stop(None)


async def status(stub: Any, service: str) -> int:
    answer = await stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=2)
    return int(answer.status)


async def test_the_server_and_each_of_its_services_have_the_same_health() -> None:
    async with open_health() as (health, stub, _):
        for serving, expected in ((False, NOT_SERVING), (True, SERVING), (False, NOT_SERVING)):
            health.set(serving)
            for name in ("", "holdfast.a.v1.A", "holdfast.b.v1.B"):
                assert await status(stub, name) == expected


async def test_an_unknown_service_has_no_health() -> None:
    async with open_health() as (_, stub, _):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await status(stub, "holdfast.c.v1.C")

    assert refused.value.code() is grpc.StatusCode.NOT_FOUND


async def test_a_list_names_the_health_of_all() -> None:
    async with open_health() as (health, _, address):
        health.set(True)
        async with grpc.aio.insecure_channel(address) as channel:
            ask: Any = channel.unary_unary(
                "/grpc.health.v1.Health/List",
                request_serializer=MESSAGES.HealthListRequest.SerializeToString,
                response_deserializer=MESSAGES.HealthListResponse.FromString,
            )
            answer = await ask(MESSAGES.HealthListRequest(), timeout=2)

    assert {name: entry.status for name, entry in answer.statuses.items()} == {
        "": SERVING,
        "holdfast.a.v1.A": SERVING,
        "holdfast.b.v1.B": SERVING,
    }


async def test_a_watcher_is_told_every_change_and_the_end() -> None:
    async with open_health() as (health, stub, _):
        health.set(False)
        watch = stub.Watch(health_pb2.HealthCheckRequest(service="holdfast.a.v1.A"), timeout=5)
        assert (await watch.read()).status == NOT_SERVING
        health.set(True)
        assert (await watch.read()).status == SERVING
        health.drain()
        assert (await watch.read()).status == NOT_SERVING
        health.end_watches()
        assert await watch.read() == grpc.aio.EOF


async def test_a_watcher_that_takes_nothing_holds_up_neither_the_others_nor_the_end() -> None:
    async with open_health() as (health, stub, address), raw_peer(address, window(0)) as silent:
        health.set(False)
        silent.call(1, "/grpc.health.v1.Health/Watch", b"")
        await silent.read_until(HEADERS)
        watch = stub.Watch(health_pb2.HealthCheckRequest(), timeout=5)
        assert (await watch.read()).status == NOT_SERVING

        async with asyncio.timeout(2):
            health.set(True)
            assert (await watch.read()).status == SERVING
            health.drain()
            assert (await watch.read()).status == NOT_SERVING


async def test_watchers_leave_room_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("servicekit.process.health.MOST_WATCHERS", 2)
    async with open_health() as (_, stub, _):
        watching = [stub.Watch(MESSAGES.HealthCheckRequest()) for _ in range(2)]
        for watcher in watching:
            await watcher.read()
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.Watch(MESSAGES.HealthCheckRequest(), timeout=5).read()
        watching[0].cancel()

        async def let_in() -> bool:
            try:
                return bool(await stub.Watch(MESSAGES.HealthCheckRequest(), timeout=5).read())
            except grpc.aio.AioRpcError:
                return False

        async with asyncio.timeout(5):
            while not await let_in():  # noqa: ASYNC110 - the server notices by itself
                await asyncio.sleep(0.01)

    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_after_the_drain_began_nothing_serves_again() -> None:
    async with open_health() as (health, stub, _):
        health.set(True)
        health.drain()
        health.set(True)

        assert await status(stub, "") == NOT_SERVING
        assert await status(stub, "holdfast.b.v1.B") == NOT_SERVING


async def test_a_probe_asks_from_code_and_from_the_command_line() -> None:
    async with open_health() as (health, _, address):
        for serving in (True, False):
            health.set(serving)
            assert await check(address) is serving
            probe = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "servicekit.process.health", address, cwd=ROOT
            )
            assert await probe.wait() == (0 if serving else 1)

    assert not await check(address, seconds=0.5)


def test_a_probe_without_the_files_of_its_certificate_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["health", "127.0.0.1:1", "--tls", "/nowhere", "/nowhere/ca.crt"])

    with pytest.raises(SystemExit) as ended:
        main()

    assert ended.value.code == 2
    assert "/nowhere/tls.crt cannot be read" in capsys.readouterr().err
