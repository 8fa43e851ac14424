import asyncio
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from holdfast.ops.v1 import ops_pb2 as pb
from holdfast.ops.v1 import ops_pb2_grpc
from sqlalchemy.pool import QueuePool
from structlog.testing import capture_logs

from servicekit.access.security import Security
from servicekit.persistence.engines import create_engine
from servicekit.polling import Poller
from servicekit.process import health
from servicekit.process import server as server_module
from servicekit.process.listeners import CannotListen
from servicekit.process.server import Server, warn_of_plaintext
from tests.servicekit.accounts import balances, open_accounts
from tests.servicekit.probing import ASK, NOWHERE, ask, probed
from tests.servicekit.raw_peer import HEADERS, SETTINGS, raw_peer, window
from tests.servicekit.scripts import write_history
from tests.servicekit.sessions import wire_to
from tests.servicekit.shop import build, open_shop
from tests.servicekit.waiting import until
from tests.support.wallet import Wallet

WATCH = "/grpc.health.v1.Health/Watch"


@pytest.fixture
async def url(postgres_url: str) -> str:
    """A database with two accounts."""
    engine = create_engine(postgres_url)
    await open_accounts(engine)
    await engine.dispose()
    return postgres_url


@pytest.fixture
async def scripts(url: str, tmp_path: Path) -> Path:
    """A history that the database is at the end of."""
    folder = write_history(tmp_path / "shop")
    service, _ = build(url, folder)
    await service.schema.upgrade(service.engine)
    await service.engine.dispose()
    return folder


async def becomes(address: str, serving: bool, seconds: float = 5) -> None:
    async with asyncio.timeout(seconds):
        while await health.check(address) is not serving:  # noqa: ASYNC110 - asked of a server, as a balancer would
            await asyncio.sleep(0.02)


async def test_a_port_that_is_taken_is_refused(url: str, scripts: Path) -> None:
    first, _ = build(url, scripts)
    async with open_shop(first) as (_, address, _):
        second, _ = build(url, scripts, listen=address)
        with pytest.raises(CannotListen, match=address):
            await Server(second).start()
        await second.engine.dispose()

        assert await health.check(address)


async def test_each_address_in_plaintext_that_others_reach_is_warned_of(tmp_path: Path) -> None:
    nobody, scripts = "postgresql+asyncpg://nobody@127.0.0.1:9/nothing", write_history(tmp_path)
    wallet = Wallet(tmp_path / "tls")

    def warned(security: Security | None = None, **addresses: str) -> set[str]:
        with capture_logs() as logs:
            warn_of_plaintext(build(nobody, scripts, security=security, **addresses)[0])
        return {entry["address"] for entry in logs if entry["log_level"] == "warning"}

    assert warned(listen="127.0.0.1:1") == set()
    assert warned(listen="0.0.0.0:1", admin_listen="localhost:2") == {"0.0.0.0:1"}
    assert warned(listen="10.0.0.1:1", admin_listen="[::]:2") == {"10.0.0.1:1", "[::]:2"}
    assert (
        warned(Security(wallet.certificates("shop"), {}), listen="0.0.0.0:1", admin_listen="[::]:2") == set()
    )


async def test_metrics_that_other_machines_reach_are_warned_of_with_mtls_too(tmp_path: Path) -> None:
    scripts, wallet = write_history(tmp_path / "shop"), Wallet(tmp_path / "tls")
    guarded = Security(wallet.certificates("shop"), {})

    def warned(metrics_listen: str) -> list[str]:
        with capture_logs() as logs:
            warn_of_plaintext(build(NOWHERE, scripts, security=guarded, metrics_listen=metrics_listen)[0])
        return [entry["address"] for entry in logs if entry["log_level"] == "warning"]

    assert warned("") == warned("127.0.0.1:9411") == []
    assert warned("0.0.0.0:9411") == ["0.0.0.0:9411"]


async def test_workers_leave_a_database_alone_that_this_build_was_not_written_for(
    url: str, tmp_path: Path
) -> None:
    steps: list[float] = []

    async def step() -> bool:
        steps.append(time.monotonic())
        return False

    worker = Poller("worker", step, idle_seconds=0.02)
    service, _ = build(url, write_history(tmp_path / "shop"), pollers=[worker])
    migrating = create_engine(url, for_migrations=True)
    async with open_shop(service):
        await asyncio.sleep(0.3)
        assert steps == []

        await service.schema.upgrade(migrating)
        await until(lambda: len(steps) > 2)

        await service.schema.downgrade(migrating, "0002")
        await asyncio.sleep(1.5)
        before = len(steps)
        await asyncio.sleep(0.3)
        assert len(steps) == before
    await migrating.dispose()


async def test_a_server_serves_only_while_the_schema_is_the_expected_one(url: str, tmp_path: Path) -> None:
    service, _ = build(url, write_history(tmp_path / "shop"))
    migrating = create_engine(url, for_migrations=True)
    async with open_shop(service) as (_, address, _):
        assert not await health.check(address)

        await service.schema.upgrade(migrating)
        await becomes(address, True)

        await service.schema.downgrade(migrating, "0002")
        await becomes(address, False)

        await service.schema.upgrade(migrating)
        await becomes(address, True)
    await migrating.dispose()


async def test_a_server_does_not_serve_while_the_database_is_away_and_comes_back_by_itself(
    url: str, scripts: Path
) -> None:
    async with wire_to(url) as (through, wire):
        service, _ = build(through, scripts)
        async with open_shop(service) as (_, address, _):
            assert await health.check(address)

            wire.refuse = True
            wire.cut()
            await becomes(address, False)

            wire.refuse = False
            await becomes(address, True, seconds=15)


async def test_a_server_that_starts_without_its_database_waits_for_it(url: str, scripts: Path) -> None:
    async with wire_to(url) as (through, wire):
        wire.refuse = True
        service, _ = build(through, scripts)
        async with open_shop(service) as (_, address, _):
            assert not await health.check(address)

            wire.refuse = False
            await becomes(address, True, seconds=15)


async def test_stopping_says_so_first_then_lets_calls_end_and_refuses_new_ones(
    url: str, scripts: Path
) -> None:
    service, shop = build(url, scripts, drain_pause_seconds=0.3)
    async with open_shop(service) as (server, address, channel):
        stub: Any = ops_pb2_grpc.OpsServiceStub(channel)
        slow = asyncio.ensure_future(stub.RequeueOutbox(pb.RequeueOutboxRequest(note="0.6"), timeout=5))
        await shop.began.wait()
        stopping = asyncio.create_task(server.stop())
        await becomes(address, False, seconds=0.25)
        await stub.GetServerInfo(pb.GetServerInfoRequest(), timeout=1)

        assert await stopping
        assert await slow == pb.RequeueOutboxResponse()
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.GetServerInfo(pb.GetServerInfoRequest(), timeout=1)
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
    assert await balances(url) == [101, 100]


async def test_stopping_waits_for_the_work_of_callers_that_left(url: str, scripts: Path) -> None:
    service, shop = build(url, scripts)
    async with open_shop(service) as (server, _, channel):
        stub: Any = ops_pb2_grpc.OpsServiceStub(channel)
        call = stub.RequeueOutbox(pb.RequeueOutboxRequest(note="0.4"), timeout=5)
        leaving = asyncio.ensure_future(_ended(call))
        await shop.began.wait()
        call.cancel()
        await leaving

        assert await server.stop()

        assert await balances(url) == [101, 100]


async def _ended(call: Any) -> None:
    with pytest.raises((asyncio.CancelledError, grpc.aio.AioRpcError)):
        await call


async def test_work_that_outlasts_the_grace_is_cut_short_and_said_so(url: str, scripts: Path) -> None:
    service, shop = build(url, scripts, grace_seconds=0.2)
    async with open_shop(service) as (server, _, channel):
        stub: Any = ops_pb2_grpc.OpsServiceStub(channel)
        call = asyncio.ensure_future(stub.RequeueOutbox(pb.RequeueOutboxRequest(note="8"), timeout=9))
        await shop.began.wait()

        assert not await server.stop()

        with pytest.raises(grpc.aio.AioRpcError) as cut:
            await call
        assert cut.value.code() is grpc.StatusCode.UNAVAILABLE
    assert await balances(url) == [100, 100]


async def test_all_that_hangs_is_waited_for_together(
    url: str, scripts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "MOST_ENDING_SECONDS", 0.5)
    monkeypatch.setattr(server_module, "MOST_CLOSING_SECONDS", 0.5)

    async def hang() -> bool:
        await asyncio.sleep(60)
        return False

    service, shop = build(url, scripts, grace_seconds=4, pollers=[Poller("stuck", hang, idle_seconds=1)])
    service.close = [hang]
    async with open_shop(service) as (server, _, channel):
        stub: Any = ops_pb2_grpc.OpsServiceStub(channel)
        call = asyncio.ensure_future(stub.RequeueOutbox(pb.RequeueOutboxRequest(note="30"), timeout=30))
        await shop.began.wait()

        began = time.monotonic()
        assert not await server.stop()

        assert time.monotonic() - began < 3.5, "one wait of four seconds would be longer"
        await asyncio.gather(call, return_exceptions=True)
        service.close = []


async def test_a_worker_that_does_not_end_when_it_is_cancelled_is_not_waited_for(
    url: str, scripts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "MOST_ENDING_SECONDS", 0.2)
    monkeypatch.setattr(server_module, "MOST_CLOSING_SECONDS", 0.5)
    over = asyncio.Event()

    async def deaf() -> bool:
        while not over.is_set():
            with suppress(asyncio.CancelledError):
                await over.wait()
        return False

    service, _ = build(url, scripts, pollers=[Poller("deaf", deaf, idle_seconds=1)])
    async with open_shop(service) as (server, _, _):
        asyncio.get_running_loop().call_later(5, over.set)
        began = time.monotonic()
        assert not await server.stop()

        assert time.monotonic() - began < 3
        over.set()


async def test_a_watcher_of_health_does_not_hold_up_the_stop(url: str, scripts: Path) -> None:
    service, _ = build(url, scripts, grace_seconds=3)
    async with open_shop(service) as (server, _, channel):
        stub: Any = health_pb2_grpc.HealthStub(channel)
        watch = stub.Watch(health_pb2.HealthCheckRequest())
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING

        began = time.monotonic()
        assert await server.stop()

        assert time.monotonic() - began < 1.5
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING


def reflection_over(channel: grpc.aio.Channel) -> Any:
    """A stream of questions to reflection, none of them asked yet."""
    untyped: Any = reflection_pb2_grpc
    return untyped.ServerReflectionStub(channel).ServerReflectionInfo()


ASK_FOR_FINDINGS = "/holdfast.ops.v1.OpsService/CheckConsistency"
TWO_FINDINGS = pb.CheckConsistencyRequest(checks=["ledger"]).SerializeToString()


@pytest.mark.parametrize(("method", "request_"), [(ASK, b""), (ASK_FOR_FINDINGS, TWO_FINDINGS), (WATCH, b"")])
async def test_a_caller_that_takes_nothing_does_not_hold_up_the_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, request_: bytes
) -> None:
    monkeypatch.setattr(server_module, "ANSWER_SECONDS", 0.4)
    async with probed(tmp_path, grace_seconds=6) as (server, address), raw_peer(address, window(0)) as silent:
        silent.call(1, method, request_)
        await silent.read_until(HEADERS)

        began = time.monotonic()
        assert await server.stop()

        assert time.monotonic() - began < 3


async def test_a_caller_that_takes_what_it_is_sent_slowly_gets_all_of_it_before_the_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "ANSWER_SECONDS", 0.8)
    async with probed(tmp_path, grace_seconds=6) as (server, address), raw_peer(address, window(0)) as slow:
        slow.call(1, ASK_FOR_FINDINGS, TWO_FINDINGS)
        await slow.read_until(HEADERS)

        stopping = asyncio.create_task(server.stop())
        for one_finding_more in (150, 300):
            await asyncio.sleep(0.6)
            slow.send(SETTINGS, 0, window(one_finding_more))
        _, _, trailers = await slow.read_until(HEADERS)
        assert b"grpc-status\x010" in trailers

        assert await stopping


async def test_a_call_at_work_is_not_cut_for_want_of_an_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "ANSWER_SECONDS", 0.1)
    async with probed(tmp_path) as (server, address), grpc.aio.insecure_channel(address) as channel:
        asked = asyncio.ensure_future(ask(channel, seconds=0.8))
        await asyncio.sleep(0.2)

        assert await server.stop()

        assert (await asked).plan == "anonymous"


async def test_an_idle_stream_of_reflection_does_not_hold_up_the_stop(url: str, scripts: Path) -> None:
    service, _ = build(url, scripts, grace_seconds=3)
    async with open_shop(service) as (server, _, channel):
        stream = reflection_over(channel)
        await stream.write(reflection_pb2.ServerReflectionRequest(list_services=""))
        assert (await stream.read()).HasField("list_services_response")

        began = time.monotonic()
        assert await server.stop()

        assert time.monotonic() - began < 1.5
        assert await stream.code() is grpc.StatusCode.UNAVAILABLE


async def test_reflection_ends_with_its_time_and_says_no_word_of_it(
    url: str, scripts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("servicekit.rpc.calls.CALL_CAP_SECONDS", 0.2)
    service, _ = build(url, scripts)
    async with open_shop(service) as (_, _, channel):
        with capture_logs() as logs:
            ended = reflection_over(channel).code()
            assert await asyncio.wait_for(ended, 5) is grpc.StatusCode.DEADLINE_EXCEEDED
    assert logs == []


async def test_stopping_ends_the_workers_and_wakes_those_that_wait(url: str, scripts: Path) -> None:
    told: list[str] = []

    async def step() -> bool:
        return False

    class Closing:
        async def close(self) -> None:
            told.append("closed")

    worker = Poller("work", step, idle_seconds=60)
    service, _ = build(
        url, scripts, pollers=[worker], wake_waiters=lambda: told.append("woken"), close=[Closing().close]
    )
    async with open_shop(service) as (server, _, _):
        assert await server.stop()
        assert told == ["woken", "closed"]
        pool = service.engine.pool
        assert isinstance(pool, QueuePool) and pool.checkedout() == 0


async def test_what_cannot_be_closed_keeps_nothing_else_open(url: str, scripts: Path) -> None:
    told: list[str] = []

    def fail() -> None:
        raise OSError("no such thing")

    service, _ = build(url, scripts, close=[fail, lambda: told.append("closed")])
    async with open_shop(service) as (server, _, _):
        assert await balances(url)
        with capture_logs() as logged:
            assert not await server.stop()

        assert told == ["closed"]
        assert "something could not be closed" in [entry["event"] for entry in logged]
        service.close = []


async def test_a_message_beyond_a_mebibyte_is_refused(url: str, scripts: Path) -> None:
    service, _ = build(url, scripts)
    async with open_shop(service) as (_, _, channel):
        stub: Any = ops_pb2_grpc.OpsServiceStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.RequeueOutbox(pb.RequeueOutboxRequest(entry_id="x" * (1 << 20)), timeout=5)

    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert await balances(url) == [100, 100]
