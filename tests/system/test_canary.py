"""No secret is told: both services have one in every place for secrets, fail in many ways, and all they say is read."""

import asyncio
import re
import signal
from collections.abc import AsyncIterator, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest
from holdfast.delivery.v1 import delivery_pb2_grpc, order_pb2
from holdfast.inventory.v1 import inventory_pb2_grpc, stock_pb2
from holdfast.ops.v1 import ops_pb2, ops_pb2_grpc
from sqlalchemy import make_url

from servicekit.access.certificates import open_channel
from servicekit.persistence.engines import create_engine
from tests.servicekit.waiting import until
from tests.support.collector import collecting
from tests.support.databases import fresh_database
from tests.support.forks import run_command
from tests.support.services import ServiceProcess, free_port, migrate
from tests.support.wallet import Wallet

# What a URL writes otherwise than it is: a password that is masked in one form and told in another is told.
CANARY = "Can@ry/3c1f9a:7e"
TOLD = re.compile("3c1f9a")
ENCODED = "Can%40ry%2F3c1f9a%3A7e"
OPS_METHODS = {
    "GetServerInfo": ops_pb2.GetServerInfoRequest(),
    "GetMigrationStatus": ops_pb2.GetMigrationStatusRequest(),
    "GetDiagnostics": ops_pb2.GetDiagnosticsRequest(),
    "GetIndexUsage": ops_pb2.GetIndexUsageRequest(),
    "ExplainQuery": ops_pb2.ExplainQueryRequest(query="none"),
    "ListOutbox": ops_pb2.ListOutboxRequest(),
    "RequeueOutbox": ops_pb2.RequeueOutboxRequest(entry_id="1", note="x"),
}
OPERATOR = (("actor-role", "dispatcher"), ("actor-id", "canary"))
BUCKET = {
    "DELIVERY_EVIDENCE_URL": "s3://photos/canary",
    "AWS_ACCESS_KEY_ID": "nobody",
    "AWS_SECRET_ACCESS_KEY": CANARY,
    "AWS_SESSION_TOKEN": CANARY,
    "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
    "AWS_DEFAULT_REGION": "eu-south-1",
}


def secret(url: str) -> str:
    """The URL with the canary as its password; a private server that trusts its sockets takes any."""
    return make_url(url).set(password=CANARY).render_as_string(hide_password=False)


@pytest.fixture
async def urls() -> AsyncIterator[Mapping[str, str]]:
    """Databases that are migrated, reached with the canary."""
    async with fresh_database("postgres") as inventory_url, fresh_database("mysql") as delivery_url:
        await asyncio.gather(migrate("inventory", inventory_url), migrate("delivery", delivery_url))
        root = create_engine(delivery_url, pool_size=1)
        database = make_url(delivery_url).database
        account = f"c{database}"[:30]
        async with root.begin() as connection:
            await connection.exec_driver_sql(f"CREATE USER '{account}' IDENTIFIED BY '{CANARY}'")
            await connection.exec_driver_sql(f"GRANT ALL ON `{database}`.* TO '{account}'")
        own = make_url(delivery_url).set(username=account)
        yield {"inventory": secret(inventory_url), "delivery": secret(own.render_as_string())}
        async with root.begin() as connection:
            await connection.exec_driver_sql(f"DROP USER '{account}'")
        await root.dispose()


def wrong(service: str, urls: Mapping[str, str]) -> Iterator[str]:
    """Databases that cannot be used: nobody listens, no such database, no such account."""
    url = make_url(urls[service])
    yield url.set(host="127.0.0.1", port=9, query={}).render_as_string(hide_password=False)
    yield url.set(database="no_such_database").render_as_string(hide_password=False)
    yield url.set(username="nobody_of_that_name").render_as_string(hide_password=False)


def unusable(service: str) -> Iterator[Mapping[str, str]]:
    """Settings that a service refuses."""
    prefix, driver = (
        service.upper(),
        {"inventory": "postgresql+asyncpg", "delivery": "mysql+asyncmy"}[service],
    )
    for url in (
        f"sqlite://u:{ENCODED}@h/d",
        f"{driver}://u:{ENCODED}@h:port/d",
        f"{driver}://u:{CANARY}@h:port/d",
        f"password={CANARY}",
    ):
        yield {f"{prefix}_DATABASE_URL": url}
    for place in (f"{ENCODED}@h:4317", f"u:{CANARY} x@h:4317", f"h:4317?api-key={ENCODED}"):
        yield {f"{prefix}_OTLP_ENDPOINT": f"http://{place}"}
    if service == "delivery":
        yield {"DELIVERY_EVIDENCE_URL": f"nosuchstore://u:{ENCODED}@h/photos"}
        yield {"DELIVERY_EVIDENCE_URL": f"relative/{CANARY}"}


async def told_by(call: Any) -> str:
    """All that a caller is told."""
    try:
        if isinstance(call, grpc.aio.UnaryStreamCall):
            return str([message async for message in call])
        return str(await call)
    except grpc.aio.AioRpcError as error:
        return f"{error!r} {error.details()} {error.trailing_metadata()}"


async def everything_asked(process: ServiceProcess) -> str:
    """What it answers to operators and to others, most of it refusals."""
    told: list[str] = []
    async with open_channel(process.address, process.pems) as channel:
        operators: Any = ops_pb2_grpc.OpsServiceStub(channel)
        for name, request in OPS_METHODS.items():
            told.append(await told_by(getattr(operators, name)(request, metadata=OPERATOR, timeout=8)))
        for name in ("CheckConsistency", "Reconcile"):
            asked = getattr(ops_pb2, f"{name}Request")()
            told.append(await told_by(getattr(operators, name)(asked, metadata=OPERATOR, timeout=8)))
        if process.service == "inventory":
            stub: Any = inventory_pb2_grpc.InventoryServiceStub(channel)
            create = stock_pb2.CreateStockRequest(sku="A-1", quantity=1, request_id="r")
            told.append(await told_by(stub.CreateStock(create, metadata=OPERATOR, timeout=8)))
            told.append(await told_by(stub.ListStocks(stock_pb2.ListStocksRequest(page_size=-1), timeout=8)))
        else:
            stub = delivery_pb2_grpc.DeliveryServiceStub(channel)
            told.append(await told_by(stub.GetOrder(order_pb2.GetOrderRequest(order_id="1"), timeout=8)))
            told.append(await told_by(stub.GetOrder(order_pb2.GetOrderRequest(order_id="x"), timeout=8)))
    return "\n".join(told)


def settings(service: str, url: str, folder: Path) -> dict[str, str]:
    own = {"DELIVERY_INVENTORY_ADDRESS": "127.0.0.1:9", "DELIVERY_EVIDENCE_URL": str(folder / "photos")}
    return {
        f"{service.upper()}_DATABASE_URL": url,
        f"{service.upper()}_LOG_LEVEL": "debug",
        f"{service.upper()}_DRAIN_PAUSE_SECONDS": "0",
        **(own if service == "delivery" else {}),
    }


def listens(log: Path) -> bool:
    return log.exists() and "listening" in log.read_text()


def assert_untold(said: str, what: str) -> None:
    found = TOLD.search(said)
    assert found is None, f"{what}: {said[max(found.start() - 300, 0) : found.end() + 100]}"


@pytest.mark.parametrize("service", ["inventory", "delivery"])
async def test_a_service_that_runs_tells_no_secret(
    service: str, urls: Mapping[str, str], tmp_path: Path
) -> None:
    wallet = Wallet(tmp_path / "tls")
    own = wallet.settings(service, service.upper())
    log = tmp_path / "log"
    metrics = {f"{service.upper()}_METRICS_LISTEN": f"127.0.0.1:{free_port()}"}
    process = ServiceProcess(service, {**settings(service, urls[service], tmp_path), **own, **metrics}, log)
    process.pems = wallet.pems("operator")
    key = (wallet.folder / service / "tls.key").read_text()
    async with collecting() as collector:
        await process.start(**{f"{service.upper()}_OTLP_ENDPOINT": collector.endpoint})
        try:
            said = await everything_asked(process)
            # A key that cannot be used is complained of, not quoted.
            (wallet.folder / service / "tls.key").write_text(f"{CANARY}\n{key[:80]}")
            said += await everything_asked(process)
        finally:
            await process.terminate()
    said += log.read_text() + collector.raw.decode(errors="replace")

    assert collector.found(kind="SERVER") and collector.found(kind="CLIENT")
    assert '"settings"' in said or "settings {" in said
    assert "certificates cannot be renewed" in said
    assert_untold(said, service)
    assert not [line for line in key.splitlines()[1:-1] if line in said]


@pytest.mark.parametrize("service", ["inventory", "delivery"])
async def test_a_service_without_its_database_tells_no_secret(
    service: str, urls: Mapping[str, str], tmp_path: Path
) -> None:
    for number, url in enumerate(wrong(service, urls)):
        log = tmp_path / f"{number}.log"
        process = ServiceProcess(service, {**settings(service, url, tmp_path), **BUCKET}, log)
        process.launch()
        try:
            await until(partial(listens, log), seconds=30)
            said = await everything_asked(process)
        finally:
            process.send(signal.SIGTERM)
            await process.ended(60)
        assert "cannot be reached" in said
        assert_untold(said + log.read_text(), url)


@pytest.mark.parametrize("service", ["inventory", "delivery"])
async def test_commands_that_fail_tell_no_secret(
    service: str, urls: Mapping[str, str], tmp_path: Path
) -> None:
    everywhere = [
        ["migrate", "upgrade"],
        ["migrate", "adopt", "--backup", str(tmp_path)],
        *([["archive", "list"]] if service == "inventory" else [["migrate", "sql"]]),
    ]
    where_it_is_there = [
        ["migrate", "downgrade", "nothing", "--discard-data"],
        ["migrate", "contract", "nothing"],
        ["migrate", "restore", str(tmp_path / "nothing"), "--discard-data"],
    ]
    runs = [(urls[service], words) for words in where_it_is_there]
    runs += [(url, words) for url in (urls[service], *wrong(service, urls)) for words in everywhere]
    for url, words in runs:
        done = await run_command(service, *words, **settings(service, url, tmp_path))
        assert_untold(done.output + done.errors, f"{words} {url}")


@pytest.mark.parametrize("service", ["inventory", "delivery"])
async def test_settings_that_are_refused_are_not_quoted_with_their_secrets(
    service: str, urls: Mapping[str, str], tmp_path: Path
) -> None:
    for bad in unusable(service):
        given = {**settings(service, urls[service], tmp_path), **bad}
        for words in (["serve"], ["migrate", "status"]):
            if words[0] == "migrate" and f"{service.upper()}_DATABASE_URL" not in bad:
                continue
            done = await run_command(service, *words, **given)
            assert done.code == 2, done.errors
            assert_untold(done.output + done.errors, str(bad))
