"""What Prometheus reads of a running service."""

import asyncio
import time
from importlib.metadata import version
from pathlib import Path

import grpc
import pytest
from holdfast.ops.v1 import ops_pb2 as pb
from holdfast.ops.v1 import ops_pb2_grpc

from servicekit.persistence.engines import create_engine
from servicekit.persistence.transactions import Transactions
from servicekit.polling import Poller
from servicekit.process.listeners import MOST_CALLS, CannotListen
from servicekit.process.server import Server
from tests.servicekit.accounts import Accounts, open_accounts
from tests.servicekit.scripts import write_history
from tests.servicekit.sessions import wire_to
from tests.servicekit.shop import build, open_shop
from tests.servicekit.waiting import until
from tests.support.scrapes import scrape, scraped
from tests.support.services import free_port

STATUS, CHECK = (f"/holdfast.ops.v1.OpsService/{name}" for name in ("GetMigrationStatus", "CheckConsistency"))


@pytest.fixture
async def scripts(postgres_url: str, tmp_path: Path) -> Path:
    """A history that a database with accounts is at the end of."""
    engine = create_engine(postgres_url)
    await open_accounts(engine)
    folder = write_history(tmp_path / "shop")
    service, _ = build(postgres_url, folder)
    await service.schema.upgrade(engine)
    await service.engine.dispose()
    await engine.dispose()
    return folder


async def test_calls_are_counted_by_method_and_code_and_timed(postgres_url: str, scripts: Path) -> None:
    listen = f"127.0.0.1:{free_port()}"
    service, _ = build(postgres_url, scripts, metrics_listen=listen)
    async with open_shop(service) as (_, _, channel):
        operators = ops_pb2_grpc.OpsServiceStub(channel)
        for _ in range(3):
            await operators.GetMigrationStatus(pb.GetMigrationStatusRequest(), timeout=5)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await operators.GetMigrationStatus(
                pb.GetMigrationStatusRequest(), metadata=(("actor-role", "pirate"),), timeout=5
            )
        async for _ in operators.CheckConsistency(pb.CheckConsistencyRequest(), timeout=5):
            pass
        counted = await scrape(listen)

    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
    calls = {name: value for name, value in counted.items() if name.startswith("holdfast_calls_total")}
    assert calls == {
        f'holdfast_calls_total{{code="OK",method="{STATUS}"}}': 3,
        f'holdfast_calls_total{{code="UNAUTHENTICATED",method="{STATUS}"}}': 1,
        f'holdfast_calls_total{{code="OK",method="{CHECK}"}}': 1,
    } | {name: 0 for name in calls if "INTERNAL" in name}
    assert f'holdfast_calls_total{{code="INTERNAL",method="{STATUS}"}}' in calls, "nobody has met a fault yet"
    assert counted[f'holdfast_call_seconds_count{{method="{STATUS}"}}'] == 4
    assert 0 < counted[f'holdfast_call_seconds_sum{{method="{STATUS}"}}'] < 20
    assert counted["process_resident_memory_bytes"] > 1e6
    assert counted[f'holdfast_build_info{{commit="",version="{version("holdfast")}"}}'] == 1


async def test_calls_under_way_are_counted(postgres_url: str, scripts: Path) -> None:
    listen = f"127.0.0.1:{free_port()}"
    service, shop = build(postgres_url, scripts, metrics_listen=listen)
    async with open_shop(service) as (_, _, channel):
        before = await scrape(listen)
        shop.go_on.clear()
        asked = ops_pb2_grpc.OpsServiceStub(channel).GetIndexUsage(pb.GetIndexUsageRequest(), timeout=9)
        await until(lambda: shop.looking == 1)
        under_way = await scrape(listen)
        shop.go_on.set()
        await asked

    assert under_way["holdfast_calls_open"] == before["holdfast_calls_open"] + 1
    assert under_way["holdfast_calls_open_max"] == MOST_CALLS


async def test_work_that_goes_on_without_its_caller_is_counted(postgres_url: str, scripts: Path) -> None:
    listen = f"127.0.0.1:{free_port()}"
    service, _ = build(postgres_url, scripts, metrics_listen=listen)
    go_on = asyncio.Event()

    async def work() -> None:
        await go_on.wait()

    async with open_shop(service):
        service.tasks.start(work())
        under_way = await scrape(listen)
        go_on.set()
        await scraped(listen, lambda found: found["holdfast_tasks"] == 0)

    assert under_way["holdfast_tasks"] == 1


async def test_tasks_that_nobody_ends_are_counted(postgres_url: str, scripts: Path) -> None:
    listen = f"127.0.0.1:{free_port()}"
    service, _ = build(postgres_url, scripts, metrics_listen=listen)
    async with open_shop(service):
        before = (await scrape(listen))["holdfast_event_loop_tasks"]
        left = [asyncio.create_task(asyncio.sleep(60)) for _ in range(50)]
        after = (await scrape(listen))["holdfast_event_loop_tasks"]
        for task in left:
            task.cancel()

    assert 0 < before <= after - 40


async def test_a_service_that_stopped_gives_the_port_back(postgres_url: str, scripts: Path) -> None:
    listen = f"127.0.0.1:{free_port()}"
    for _ in range(2):
        service, _ = build(postgres_url, scripts, metrics_listen=listen)
        async with open_shop(service):
            assert await scrape(listen)


async def test_a_port_that_is_taken_is_refused(postgres_url: str, scripts: Path) -> None:
    listen = f"127.0.0.1:{free_port()}"
    first, _ = build(postgres_url, scripts, metrics_listen=listen)
    async with open_shop(first):
        second, _ = build(postgres_url, scripts, metrics_listen=listen)
        with pytest.raises(CannotListen, match=listen):
            await Server(second).start()
        await second.engine.dispose()


async def test_it_is_told_whether_the_service_serves(postgres_url: str, scripts: Path) -> None:
    listen = f"127.0.0.1:{free_port()}"
    async with wire_to(postgres_url) as (through, wire):
        service, _ = build(through, scripts, metrics_listen=listen)
        async with open_shop(service):
            serving = (await scrape(listen))["holdfast_serving"]
            wire.refuse = True
            wire.cut()
            await scraped(listen, lambda found: found["holdfast_serving"] == 0)

    assert serving == 1


async def test_the_connections_of_calls_are_told_as_they_are(postgres_url: str, scripts: Path) -> None:
    listen = f"127.0.0.1:{free_port()}"
    engine = create_engine(postgres_url, pool_size=1)
    transactions = Transactions(engine, Accounts, at_once=1)
    service, _ = build(postgres_url, scripts, metrics_listen=listen)
    service.metrics.pool(engine, lambda: transactions.waiting)
    leave = asyncio.Event()

    async def stay(_: Accounts) -> None:
        await leave.wait()

    async with open_shop(service):
        free = await scrape(listen)
        work = [asyncio.create_task(transactions.run(stay)) for _ in range(3)]
        used = await scraped(listen, lambda found: found["holdfast_pool_waiting"])
        leave.set()
        await asyncio.gather(*work)
        after = await scrape(listen)
    await engine.dispose()

    names = [f"holdfast_pool_{name}" for name in ("connections_max", "connections_in_use", "waiting")]
    assert [[found[name] for name in names] for found in (free, used, after)] == [
        [1, 0, 0],
        [1, 1, 2],
        [1, 0, 0],
    ]


async def test_a_worker_that_fails_is_counted_by_its_name(postgres_url: str, scripts: Path) -> None:
    listen = f"127.0.0.1:{free_port()}"

    async def fail() -> bool:
        raise ZeroDivisionError

    service, _ = build(
        postgres_url, scripts, metrics_listen=listen, pollers=[Poller("sweep", fail, idle_seconds=60)]
    )
    async with open_shop(service):
        found = await scraped(
            listen, lambda found: found['holdfast_worker_failures_total{worker="sweep"}'] >= 2
        )

    assert found['holdfast_worker_failures_total{worker="readiness"}'] == 0


async def test_a_loop_that_comes_back_late_is_seen(postgres_url: str, scripts: Path) -> None:
    listen = f"127.0.0.1:{free_port()}"
    service, _ = build(postgres_url, scripts, metrics_listen=listen)
    count, soon = "holdfast_event_loop_lag_seconds_count", 'holdfast_event_loop_lag_seconds_bucket{le="0.25"}'
    async with open_shop(service):
        before = await scraped(listen, lambda found: found[count] >= 2)
        # No look waits for longer than a quarter of a second.
        time.sleep(0.7)  # noqa: ASYNC251 - what is not allowed
        after = await scraped(listen, lambda found: found[count] > before[count])

    assert after[count] - after[soon] >= before[count] - before[soon] + 1
    assert after["holdfast_event_loop_lag_seconds_sum"] > before["holdfast_event_loop_lag_seconds_sum"] + 0.4
