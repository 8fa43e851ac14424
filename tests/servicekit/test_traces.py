"""Traces where no collector is named, and where one is: what is in a span, and what never is."""

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from holdfast.ops.v1 import ops_pb2 as pb
from holdfast.ops.v1 import ops_pb2_grpc
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from servicekit import traces
from servicekit.persistence.engines import create_engine
from servicekit.persistence.transactions import Transactions
from servicekit.process.health import check
from tests.servicekit.accounts import Accounts, open_accounts
from tests.servicekit.scripts import write_history
from tests.servicekit.shop import build, open_shop
from tests.support.collector import Collector, collecting
from tests.support.services import free_port

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
CALLER = f"00-{TRACE}-{PARENT}-01"
ASIDE = "00-11111111111111111111111111111111-2222222222222222-01"
OPS = "holdfast.ops.v1.OpsService"


@pytest.fixture
async def collector(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Collector]:
    """A collector that this process tells of its spans."""
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
    async with collecting() as collector:
        traces.begin("shop", collector.endpoint)
        yield collector
        await traces.end()


@pytest.fixture
async def accounts(postgres_url: str) -> AsyncIterator[Transactions[Accounts]]:
    """Work on a database with accounts."""
    engine = create_engine(postgres_url)
    await open_accounts(engine)
    yield Transactions(engine, Accounts)
    await engine.dispose()


def test_without_a_collector_nothing_of_opentelemetry_is_imported() -> None:
    program = (
        "import sys, delivery_service.__main__, inventory_service.__main__\n"
        "from inventory_service import bootstrap, settings\n"
        "bootstrap.build(settings.Settings(database_url='postgresql+asyncpg://u:p@h/d'))\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)

    assert (told.stdout, told.returncode) == ("[]\n", 0), told.stderr


async def test_without_a_collector_there_is_no_trace() -> None:
    with traces.span("work", of=[CALLER]):
        assert (traces.here(), traces.trace_id(), traces.outgoing(), traces.interceptors()) == (
            "",
            "",
            (),
            [],
        )


@pytest.mark.parametrize("url", ["collector.example:4317", "grpc://collector.example:4317", "http:", "4317"])
def test_a_collector_is_named_by_its_url(url: str) -> None:
    with pytest.raises(ValueError, match="must be a URL"):
        traces.collector(url)


@pytest.mark.parametrize(
    "place",
    ["canary@collector.example:4317", "u:a canary@collector.example:4317", "collector.example?key=canary"],
)
def test_a_collector_is_named_without_its_keys(place: str) -> None:
    with pytest.raises(ValueError, match="no user and no key") as refused:
        traces.collector(f"http://{place}")

    assert "canary" not in str(refused.value)


def test_without_opentelemetry_a_collector_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "servicekit.telemetry.spans", None)

    with pytest.raises(ValueError, match=r"needs what holdfast\[traces\] installs"):
        traces.collector("http://collector.example:4317")


async def test_work_of_many_is_in_the_trace_of_the_first_and_linked_to_the_others(
    collector: Collector,
) -> None:
    with traces.span("batch", of=["", "nonsense", CALLER, ASIDE]):
        assert (traces.here()[:35], traces.trace_id()) == (f"00-{TRACE}", TRACE)
    with traces.span("nobody's", of=["", "nonsense"]):
        assert traces.here() == ""
    batch = await collector.wait_for(name="batch")

    assert (batch.service, batch.trace, batch.parent, batch.links) == (
        "holdfast-shop",
        TRACE,
        PARENT,
        ("1" * 32,),
    )
    assert not collector.found(name="nobody's")


async def test_statements_are_spans_of_work_that_is_in_a_trace_only(
    collector: Collector, accounts: Transactions[Accounts]
) -> None:
    async def deposit(uow: Accounts) -> None:
        await uow.add(1, 1)

    await accounts.run(deposit)
    with traces.span("deposit", of=[CALLER]):
        await accounts.run(deposit)
    work = await collector.wait_for(name="deposit")

    below = collector.found(parent=work.span)
    assert below == [span for span in collector.spans if span != work]
    names = [span.name for span in below]
    assert (names[0], names[-1]) == ("SELECT", "COMMIT") and "UPDATE" in names
    assert {span.attributes.get("db.system.name") for span in below} == {"postgresql", None}


async def test_a_statement_that_fails_is_an_error_without_its_values(
    collector: Collector, accounts: Transactions[Accounts]
) -> None:
    async def overdraw(uow: Accounts) -> None:
        await uow.connection.execute(
            text("INSERT INTO account (id, owner, balance) VALUES (1, :owner, 1)"), {"owner": "canary"}
        )

    with pytest.raises(DBAPIError), traces.span("overdraw", of=[CALLER]):
        await accounts.run(overdraw)
    work = await collector.wait_for(name="overdraw")

    (failed,) = collector.found(parent=work.span, name="INSERT")
    assert (failed.error, work.error) == ("UniqueViolationError", "IntegrityError")
    assert b"canary" not in collector.raw


async def test_calls_are_spans_with_their_codes_and_probes_are_none(
    collector: Collector, postgres_url: str, tmp_path: Path, accounts: Transactions[Accounts]
) -> None:
    service, _ = build(postgres_url, write_history(tmp_path / "shop"))
    traced = (("traceparent", CALLER), ("x-call-id", "mine"))
    async with open_shop(service) as (_, address, channel):
        operators = ops_pb2_grpc.OpsServiceStub(channel)
        await check(address)
        await operators.GetServerInfo(pb.GetServerInfoRequest(), metadata=traced, timeout=5)
        with pytest.raises(grpc.aio.AioRpcError):
            await operators.ExplainQuery(pb.ExplainQueryRequest(), metadata=traced, timeout=5)
        found = [
            answer
            async for answer in operators.CheckConsistency(
                pb.CheckConsistencyRequest(checks=["ledger"]), metadata=traced, timeout=5
            )
        ]
        await operators.GetServerInfo(pb.GetServerInfoRequest(), metadata=(("traceparent", "x"),), timeout=5)
    await traces.end()

    info, refused, checked, alone = collector.spans
    assert len(found) == 2
    names = [span.name for span in collector.spans]
    assert (
        names
        == [f"{OPS}/{name}" for name in ("GetServerInfo", "ExplainQuery", "CheckConsistency")] + names[:1]
    )
    assert {(span.trace, span.parent) for span in (info, refused, checked)} == {(TRACE, PARENT)}
    assert alone.trace != TRACE and alone.parent == ""
    assert [span.attributes["rpc.grpc.status_code"] for span in collector.spans] == [0, 3, 0, 0]
    assert [span.error for span in collector.spans] == [None] * 4, "a refusal is no failure of ours"
    assert info.attributes["holdfast.call_id"] == "mine"


async def test_no_caller_has_a_trace_kept_where_each_service_decides(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0")
    async with collecting() as collector:
        traces.begin("shop", collector.endpoint)
        async with open_shop(build(postgres_url, write_history(tmp_path / "shop"))[0]) as (_, _, channel):
            operators = ops_pb2_grpc.OpsServiceStub(channel)
            traced = (("traceparent", CALLER),)
            await operators.GetServerInfo(pb.GetServerInfoRequest(), metadata=traced, timeout=5)
        await traces.end()

    assert collector.spans == []


@pytest.mark.parametrize("hangs", [False, True])
async def test_a_collector_that_does_not_answer_keeps_nobody_waiting(
    accounts: Transactions[Accounts], hangs: bool
) -> None:
    async def read(uow: Accounts) -> int:
        return await uow.balance(1)

    port = free_port()
    if hangs:
        server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", port)
    traces.begin("shop", f"http://127.0.0.1:{port}")
    began = time.monotonic()
    with traces.span("work", of=[CALLER]):
        await accounts.read(read)
    worked = time.monotonic()
    await traces.end()
    ended = time.monotonic()
    if hangs:
        server.close()

    assert worked - began < 5
    assert ended - worked < 7
