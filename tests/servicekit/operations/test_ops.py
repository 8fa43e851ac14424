import asyncio
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import grpc
import pytest
from holdfast.ops.v1 import ops_pb2 as pb
from holdfast.ops.v1 import ops_pb2_grpc
from sqlalchemy import text

from servicekit.operations import ops
from servicekit.persistence.engines import create_engine
from tests.servicekit.scripts import write_history
from tests.servicekit.serving import seen
from tests.servicekit.sessions import wire_to
from tests.servicekit.shop import SETTINGS, build, open_shop
from tests.servicekit.waiting import until


@pytest.fixture
async def stub(empty_url: str, tmp_path: Path) -> AsyncIterator[Any]:
    """A caller of a running shop whose schema is at the first of three revisions."""
    service, _ = build(empty_url, write_history(tmp_path / "shop"))
    migrating = create_engine(empty_url, for_migrations=True)
    await service.schema.upgrade(migrating, "0001")
    await migrating.dispose()
    async with open_shop(service) as (_, _, channel):
        yield ops_pb2_grpc.OpsServiceStub(channel)


async def test_a_server_tells_what_it_is_and_on_which_engine(stub: Any, engine_name: str) -> None:
    info = await stub.GetServerInfo(pb.GetServerInfoRequest(), timeout=5)

    assert info.service == "shop"
    assert info.version
    assert str(os.getpid()) in info.instance
    assert info.start_time.seconds > 0
    assert info.engine == {"postgres": "PostgreSQL", "mysql": "MySQL", "mariadb": "MariaDB"}[engine_name]
    assert info.engine_version[0].isdigit()
    assert dict(info.settings) == SETTINGS


async def test_a_server_tells_where_its_schema_stands(stub: Any) -> None:
    status = await stub.GetMigrationStatus(pb.GetMigrationStatusRequest(), timeout=5)

    assert (status.applied_revision, status.expected_revision) == ("0001", "0003")
    assert [(step.id, step.description) for step in status.pending] == [
        ("0002", "Add room 2."),
        ("0003", "Add room 3."),
    ]


async def findings(stub: Any, *checks: str) -> list[pb.Finding]:
    call = stub.CheckConsistency(pb.CheckConsistencyRequest(checks=checks), timeout=5)
    return [answer.finding async for answer in call]


@pytest.mark.parametrize("engine_name", ["postgres"], indirect=True)
async def test_every_finding_of_the_checks_asked_for_is_streamed(stub: Any) -> None:
    everything = await findings(stub)

    assert [finding.subject for finding in everything] == ["AJ1-42", "AJ1-43"]
    assert everything[0].check == "ledger"
    assert everything[0].description == "quantity is 5, its movements add up to 4"
    assert dict(everything[0].facts) == {"quantity": "5", "movements": "4"}
    assert await findings(stub, "ledger") == everything
    assert await findings(stub, "holds", "ledger", "ledger") == everything
    assert await findings(stub, "holds") == []


@pytest.mark.parametrize("engine_name", ["postgres"], indirect=True)
async def test_an_unknown_check_is_refused_with_those_that_exist(stub: Any) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await findings(stub, "ledger", "tea", "weather")

    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert [
        (violation.field, violation.description)
        for violation in seen(refused.value).details["BadRequest"].field_violations
    ] == [("checks[1]", "must be one of ledger, holds"), ("checks[2]", "must be one of ledger, holds")]


@pytest.mark.parametrize("engine_name", ["postgres"], indirect=True)
async def test_however_many_operators_ask_few_connections_are_opened(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ops, "TURN_SECONDS", 0.1)
    service, shop = build(url, write_history(tmp_path / "shop"))
    async with open_shop(service) as (_, _, channel):
        stub: Any = ops_pb2_grpc.OpsServiceStub(channel)
        shop.go_on.clear()
        asked = [
            asyncio.ensure_future(stub.GetIndexUsage(pb.GetIndexUsageRequest(), timeout=9))
            for _ in range(ops.MOST_AT_ONCE + 2)
        ]
        await until(lambda: sum(call.done() for call in asked) == 2)
        looking = shop.looking
        shop.go_on.set()
        answers = await asyncio.gather(*asked, return_exceptions=True)

    refused = [seen(answer).reason for answer in answers if isinstance(answer, grpc.aio.AioRpcError)]
    assert (refused, looking) == (["OVERLOADED"] * 2, ops.MOST_AT_ONCE)


@pytest.mark.parametrize("engine_name", ["postgres"], indirect=True)
async def test_who_asks_while_it_is_looked_is_told_what_is_seen(url: str, tmp_path: Path) -> None:
    service, shop = build(url, write_history(tmp_path / "shop"))
    shop.go_on.clear()
    asked = [
        asyncio.create_task(shop.GetDiagnostics(pb.GetDiagnosticsRequest(), cast(Any, None)))
        for _ in range(5)
    ]
    await until(lambda: shop.looking > 0)
    looking = shop.looking
    asked[0].cancel()
    shop.go_on.set()
    answers = await asyncio.gather(*asked[1:])
    await service.engine.dispose()

    assert looking == 1
    assert [answer.diagnoses[0].description for answer in answers] == ["the shop is open"] * 4


async def test_without_a_database_a_server_still_tells_what_it_is(url: str, tmp_path: Path) -> None:
    async with wire_to(url) as (through, wire):
        service, _ = build(through, write_history(tmp_path / "shop"))
        wire.refuse = True
        async with open_shop(service) as (_, _, channel):
            stub: Any = ops_pb2_grpc.OpsServiceStub(channel)
            info = await stub.GetServerInfo(pb.GetServerInfoRequest(), timeout=5)
            for ask in (
                lambda: stub.GetMigrationStatus(pb.GetMigrationStatusRequest(), timeout=5),
                lambda: findings(stub, "holds"),
            ):
                with pytest.raises(grpc.aio.AioRpcError) as refused:
                    await ask()
                assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
                assert seen(refused.value).reason == "DATABASE_UNAVAILABLE"

    assert (info.service, info.engine, info.engine_version) == ("shop", "", "")


async def test_a_database_that_hangs_keeps_no_server_from_telling_what_it_is(
    url: str, tmp_path: Path
) -> None:
    async with wire_to(url) as (through, wire):
        service, _ = build(through, write_history(tmp_path / "shop"))
        async with open_shop(service) as (_, _, channel):
            wire.hang = True
            wire.silence()
            began = time.monotonic()
            info = await ops_pb2_grpc.OpsServiceStub(channel).GetServerInfo(pb.GetServerInfoRequest())
            seconds = time.monotonic() - began

    assert seconds < 4
    assert (info.service, info.engine, info.engine_version) == ("shop", "", "")
    assert dict(info.settings) == SETTINGS


@pytest.mark.parametrize("engine_name", ["postgres"], indirect=True)
async def test_a_database_that_is_there_and_not_as_it_should_be_is_not_said_to_be_away(
    stub: Any, empty_url: str
) -> None:
    engine = create_engine(empty_url, for_migrations=True)
    async with engine.begin() as connection:
        table = text("ALTER TABLE holdfast_schema_version RENAME COLUMN version_num TO elsewhere")
        await connection.execute(table)
    await engine.dispose()

    with pytest.raises(grpc.aio.AioRpcError) as refused:
        # Where nobody configured the log, it takes seconds to draw the fault.
        await stub.GetMigrationStatus(pb.GetMigrationStatusRequest(), timeout=60)

    assert refused.value.code() is grpc.StatusCode.INTERNAL
