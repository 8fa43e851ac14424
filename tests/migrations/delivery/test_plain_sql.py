"""`migrate sql`: what a DBA runs with the engine's own client leads to the same schema as `migrate upgrade`."""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from sqlalchemy import make_url

from delivery_service.commands.render_sql import NotRendered, plain_sql
from servicekit.schema.migrations import Schema, UnknownRevision
from tests.migrations.delivery.legacy import description, execute, migrating, rows, write_legacy, write_order
from tests.support.databases import fresh_database
from tests.support.programs import dump_program

SCHEMA = Schema("delivery")
LAST = "0011"
"""The last revision before the backfill, which only the service's own command can do."""

Client = Callable[[str, str], "subprocess.CompletedProcess[str]"]


@pytest.fixture
def client(delivery_engine: str, tmp_path: Path) -> Client:
    """Runs SQL in a database with the client program that comes with the engine."""
    beside = dump_program(delivery_engine, tmp_path / "programs")
    program = beside.with_name("mysql" if delivery_engine == "mysql" else "mariadb")

    def run(url: str, sql: str) -> "subprocess.CompletedProcess[str]":
        target = make_url(url)
        socket = f"--socket={target.query['unix_socket']}"
        return subprocess.run(
            [str(program), "--no-defaults", socket, f"--user={target.username}", str(target.database)],
            input=sql,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.fixture
async def wanted(delivery_engine: str) -> AsyncIterator[str]:
    """A database that `migrate upgrade` has made."""
    async with fresh_database(delivery_engine) as url:
        yield url


def file(begin: str, end: str) -> str:
    return "\n".join(plain_sql(SCHEMA, begin, end))


async def test_the_file_run_twice_leads_where_an_upgrade_leads_and_back_again(
    delivery_url: str, wanted: str, client: Client
) -> None:
    async with migrating(delivery_url) as (schema, engine), migrating(wanted) as (_, other):
        await schema.upgrade(other, LAST)
        await schema.upgrade(engine, "0001")
        empty = await description(engine)
        await write_order(engine, 1)
        await write_legacy(engine, 1)
        for _ in range(2):
            run = await asyncio.to_thread(client, delivery_url, file("0001", LAST))
            assert run.returncode == 0, run.stderr

        assert await schema.applied(engine) == LAST
        assert await description(engine) == await description(other)
        applied = (
            "SELECT name FROM holdfast_schema_history WHERE kind = 'applied' AND name > '0001' ORDER BY 1"
        )
        assert [name for (name,) in await rows(engine, applied)] == [
            revision.id for revision in SCHEMA.history() if "0001" < revision.id <= LAST
        ]
        since = "SELECT MAX(name) FROM holdfast_schema_history WHERE kind = 'serves since'"
        assert await rows(engine, since) == [(SCHEMA.serves_since(LAST),)]
        procedures = "SELECT COUNT(*) FROM information_schema.routines WHERE routine_schema = DATABASE()"
        assert await rows(engine, procedures) == [(0,)]

        # From a newer schema a file does not go back: that would leave gaps.
        back = await asyncio.to_thread(client, delivery_url, file("0003", "0001"))
        assert back.returncode == 1
        assert "the schema is at 0011, this goes on from 0003" in back.stderr
        # Neither a file that was cut short on its way back nor one that arrived is in the way of the next run.
        for begin, end in ((LAST, "0006"), (LAST, "0001"), (LAST, "0001")):
            run = await asyncio.to_thread(client, delivery_url, file(begin, end))
            assert run.returncode == 0, run.stderr
            assert await schema.applied(engine) == end
        taken_back = "SELECT COUNT(*) FROM holdfast_schema_history WHERE kind = 'taken back'"
        assert await rows(engine, taken_back) == [(int(LAST) - 1,)]
        assert (await description(engine)).keys() == empty.keys()
        assert await rows(engine, "SELECT order_ids FROM tigu_prepare_goods") == [("1",)]


async def test_a_database_that_nobody_took_over_gets_the_indexes_and_no_record(
    delivery_url: str, client: Client
) -> None:
    async with migrating(delivery_url) as (schema, engine):
        await schema.upgrade(engine, "0001")
        for table in ("holdfast_schema_version", "holdfast_schema_history"):
            await execute(engine, f"DROP TABLE {table}")
        before = (await description(engine))["tigu_order"]

        indexes = await asyncio.to_thread(client, delivery_url, file("0001", "0002"))
        more = await asyncio.to_thread(client, delivery_url, file("0002", "0003"))

        assert indexes.returncode == 0, indexes.stderr
        assert "index idx_order_ids (order_ids(100)): online, now" in indexes.stdout
        assert "not recorded" in indexes.stdout
        assert more.returncode == 1
        assert "this database was never taken over: adopt it first" in more.stderr
        assert await schema.applied(engine) is None
        found = await description(engine)
        assert found["tigu_order"] == before
        names = {name for name, _, _ in found["tigu_prepare_goods"]["indexes"]}
        assert {"idx_order_ids", "idx_delivery_shipping"} <= names


@pytest.mark.parametrize(
    ("obstacle", "reason"),
    [
        (
            "ALTER TABLE tigu_prepare_goods ADD INDEX idx_delivery_shipping (shipping_type, delivery_type)",
            "index idx_delivery_shipping is there as (shipping_type, delivery_type), wanted as",
        ),
        (
            "ALTER TABLE tigu_prepare_goods DROP COLUMN shipping_type",
            "table tigu_prepare_goods lacks shipping_type",
        ),
        ("DROP TABLE tigu_order", "table tigu_order is missing"),
    ],
)
async def test_the_file_stops_before_any_change_where_the_database_is_not_as_expected(
    delivery_url: str, client: Client, obstacle: str, reason: str
) -> None:
    async with migrating(delivery_url) as (schema, engine):
        await schema.upgrade(engine, "0001")
        await execute(engine, obstacle)
        before = await description(engine)

        run = await asyncio.to_thread(client, delivery_url, file("0001", "0002"))

        assert run.returncode == 1
        assert reason in run.stderr
        assert await description(engine) == before
        assert await schema.applied(engine) == "0001"


def test_revisions_that_plain_sql_cannot_express_are_refused_with_the_reason() -> None:
    with pytest.raises(NotRendered, match="it reads the list of every package"):
        file(LAST, "0012")
    with pytest.raises(NotRendered, match="nothing between 0003 and 0003"):
        file("0003", "0003")
    with pytest.raises(UnknownRevision, match="0999"):
        file("0001", "0999")
