"""GetDiagnostics names what is wrong, by a fault planted for each probe, on a real Postgres."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from holdfast.inventory.v1 import reports_pb2
from holdfast.ops.v1 import ops_pb2 as pb
from holdfast.ops.v1 import ops_pb2_grpc
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from inventory_service.persistence import engine_probes
from inventory_service.persistence.engine_probes import durability, locks, sessions
from inventory_service.persistence.probes import due_holds
from servicekit.operations.diagnostics import Severity
from servicekit.persistence.engines import create_engine
from tests.inventory_service.client import Inventory
from tests.inventory_service.ledger import without_next_month
from tests.inventory_service.serving import ASLEEP, channel_to
from tests.servicekit.sessions import session_id, wire_to

OK, WARN, FAIL = pb.SEVERITY_OK, pb.SEVERITY_WARN, pb.SEVERITY_FAIL
PROBES = [
    *("database", "clock", "schema", "pool"),
    *("durability", "sessions", "locks", "due_holds", "metrics_view", "ledger_partitions"),
]


async def diagnosed(inventory: Inventory) -> dict[str, pb.Diagnosis]:
    answer = await inventory.ops.GetDiagnostics(pb.GetDiagnosticsRequest(), timeout=5)
    assert answer.severity == max(diagnosis.severity for diagnosis in answer.diagnoses)
    return {diagnosis.probe: diagnosis for diagnosis in answer.diagnoses}


@pytest.fixture
async def session(inventory_url: str) -> AsyncIterator[AsyncConnection]:
    """A session that a test may set otherwise."""
    engine = create_engine(inventory_url, pool_size=1)
    async with engine.connect() as connection:
        yield connection
    await engine.dispose()


async def test_all_is_well_but_what_tests_leave_out_for_speed(inventory: Inventory) -> None:
    await inventory.stub.RefreshStockMetrics(reports_pb2.RefreshStockMetricsRequest(), timeout=10)

    found = await diagnosed(inventory)

    assert list(found) == PROBES
    wrong = {name for name, diagnosis in found.items() if diagnosis.severity != OK}
    assert wrong == {"durability"}
    for diagnosis in found.values():
        assert diagnosis.description
        assert bool(diagnosis.next_command) == (diagnosis.severity != OK)
    assert found["sessions"].description == "isolation read committed, time zone UTC"


async def test_what_may_be_lost_with_the_power_is_named(
    inventory: Inventory, session: AsyncConnection
) -> None:
    found = (await diagnosed(inventory))["durability"]
    await session.exec_driver_sql("SET synchronous_commit = off")
    worse = await durability(session)

    assert found.severity == FAIL
    assert found.description.startswith("fsync is off by the command line that the database was started with")
    assert found.description.endswith("may be lost with the machine's power")
    assert found.next_command.startswith("psql -h /")
    # Which ALTER SYSTEM does not overrule.
    assert "-c \"SELECT pg_read_file('postmaster.opts')\" " in found.next_command
    assert "synchronous_commit is off" in worse.description


async def test_sessions_that_are_otherwise_than_asked_for_are_named(session: AsyncConnection) -> None:
    await session.exec_driver_sql("SET TimeZone = 'Asia/Shanghai'")
    found = await sessions(session)

    assert found.severity is Severity.FAIL
    assert found.description.startswith("isolation read committed, time zone Asia/Shanghai; ")
    assert found.next_command


async def test_a_database_that_takes_no_writes_is_named(session: AsyncConnection) -> None:
    await session.exec_driver_sql("SET default_transaction_read_only = on")
    await session.commit()
    found = await sessions(session)

    assert found.severity is Severity.FAIL
    assert found.description.startswith("the database takes no writes")
    assert found.next_command


async def test_a_hold_that_nobody_sweeps_is_named(inventory: Inventory) -> None:
    await inventory.create("A", 5)
    await inventory.reserve("r1", {"A": 1}, ttl=60)
    await inventory.let_expire("r1", seconds_ago=5)
    young = (await diagnosed(inventory))["due_holds"]
    await inventory.let_expire("r1", seconds_ago=600)

    late = (await diagnosed(inventory))["due_holds"]

    assert young.severity == OK
    assert late.severity == WARN
    assert late.description.startswith("hold r1 is 600 s past its time: nobody sweeps")
    assert late.next_command == "grep reservation_expiry $INVENTORY_LOG"
    await inventory.release("r1")
    async with inventory.engine.connect() as connection:
        assert (await due_holds(connection)).description == "no hold is past its time"


async def test_a_view_that_is_old_is_named_with_its_time(inventory: Inventory) -> None:
    await inventory.stub.RefreshStockMetrics(reports_pb2.RefreshStockMetricsRequest(), timeout=10)
    fresh = (await diagnosed(inventory))["metrics_view"]
    async with inventory.engine.begin() as connection:
        await connection.execute(
            text(
                "UPDATE inventory.stock_metrics_refresh SET refresh_time = refresh_time - interval '5 hours'"
            )
        )

    stale = (await diagnosed(inventory))["metrics_view"]

    assert fresh.severity == OK
    assert stale.severity == WARN
    assert stale.description.startswith("the metrics view is of ")
    assert stale.description.endswith("reports are to be at most 2:00:00 old")
    assert stale.next_command.endswith("InventoryService/RefreshStockMetrics")


async def test_a_month_without_a_partition_is_named(inventory: Inventory) -> None:
    async with without_next_month(inventory.engine) as month:
        found = (await diagnosed(inventory))["ledger_partitions"]

    assert found.severity == WARN
    assert found.description == (
        f"the ledger has no partition for {month.replace('_', '-')}; movements go into the default one; a server"
        " makes partitions when it starts and once a day, and logs what is in the way"
    )
    assert found.next_command == (
        "grpcurl -plaintext -H 'actor-role: dispatcher' -H 'actor-id: YOUR-NAME'"
        """ -d '{"checks": ["partitions"], "validate_only": false}' $INVENTORY_ADDRESS"""
        " holdfast.ops.v1.OpsService/Reconcile"
    )
    assert (await diagnosed(inventory))["ledger_partitions"].severity == OK


async def test_a_transaction_that_keeps_others_waiting_is_named_by_its_session(
    inventory: Inventory, inventory_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await inventory.create("A", 5)
    waiting = create_engine(inventory_url, pool_size=1, lock_seconds=10)
    lock = text("SELECT id FROM inventory.stock FOR UPDATE")
    async with inventory.engine.connect() as holder:
        session = (await holder.execute(text("SELECT pg_backend_pid()"))).scalar_one()
        await holder.execute(lock)
        await asyncio.sleep(1.2)

        async def wait() -> None:
            async with waiting.connect() as waiter:
                await waiter.execute(lock)

        alone = (await diagnosed(inventory))["locks"]
        monkeypatch.setattr(engine_probes, "LONG_SECONDS", 0.5)
        long = (await diagnosed(inventory))["locks"]
        waiter = asyncio.create_task(wait())
        await asyncio.sleep(0.5)
        found = (await diagnosed(inventory))["locks"]
        await holder.rollback()
        await waiter
    await waiting.dispose()

    assert (alone.severity, long.severity, found.severity) == (OK, WARN, FAIL)
    assert f"the transaction of session {session} " in long.description
    assert found.description.startswith(
        f"the transaction of session {session} (holdfast, idle in transaction)"
    )
    assert found.description.endswith("1 others wait for it")
    assert found.next_command.endswith(f' -c "SELECT pg_terminate_backend({session})"')


async def test_of_many_that_wait_for_a_row_neither_the_first_nor_an_older_innocent_is_named(
    inventory: Inventory, inventory_url: str
) -> None:
    await inventory.create("A", 5)
    await inventory.create("B", 5)
    lock = text("SELECT id FROM inventory.stock WHERE sku = :sku FOR UPDATE")
    others = create_engine(inventory_url, pool_size=5, lock_seconds=10)

    async def wait() -> None:
        async with others.connect() as waiter:
            await waiter.execute(lock, {"sku": "A"})

    async with others.connect() as innocent, others.connect() as holder:
        await innocent.execute(lock, {"sku": "B"})
        await holder.execute(lock, {"sku": "A"})
        waiters = [asyncio.create_task(wait()) for _ in range(3)]
        await asyncio.sleep(1.5)
        found = (await diagnosed(inventory))["locks"]
        session = await session_id(holder)
        await holder.rollback()
        await asyncio.gather(*waiters)
    await others.dispose()

    assert found.next_command.endswith(f' -c "SELECT pg_terminate_backend({session})"')
    assert found.description.endswith("3 others wait for it")


@pytest.fixture
async def limited(inventory: Inventory, inventory_url: str) -> AsyncIterator[AsyncEngine]:
    """A way into the database by an account that has no right beyond it."""
    own = make_url(inventory_url)
    async with inventory.engine.begin() as connection:
        await connection.exec_driver_sql(f"CREATE ROLE limited_{own.database} LOGIN")
    url = own.set(username=f"limited_{own.database}")
    engine = create_engine(url.render_as_string(hide_password=False), pool_size=1)
    yield engine
    await engine.dispose()
    async with inventory.engine.begin() as connection:
        await connection.exec_driver_sql(f"DROP ROLE limited_{own.database}")


async def test_an_account_that_may_not_see_the_transactions_of_others_names_those_that_keep_others_waiting(
    inventory: Inventory, limited: AsyncEngine
) -> None:
    await inventory.create("A", 5)
    lock = text("SELECT id FROM inventory.stock FOR UPDATE")

    async def wait() -> None:
        async with inventory.engine.connect() as waiter:
            await waiter.execute(text("SET lock_timeout = '10s'"))
            await waiter.execute(lock)

    async with inventory.engine.connect() as holder, limited.connect() as connection:
        session = await session_id(holder)
        await holder.execute(lock)
        alone = await locks(connection)
        waiter = asyncio.create_task(wait())
        await asyncio.sleep(0.5)
        found = await locks(connection)
        await holder.rollback()
        await waiter

    assert alone.severity is Severity.OK
    assert found.severity is Severity.WARN
    assert found.description.startswith(f"1 others wait for session {session} of ")
    assert found.description.endswith(": since when, the service's account may not see")
    assert " -U postgres " in found.next_command
    assert found.next_command.endswith(f' -c "GRANT pg_read_all_stats TO {limited.url.username}"')


async def test_a_table_that_is_locked_silences_its_own_probe_only(inventory: Inventory) -> None:
    async with inventory.engine.connect() as holder:
        await holder.exec_driver_sql("LOCK TABLE inventory.reservation IN ACCESS EXCLUSIVE MODE")
        began = time.monotonic()
        found = await diagnosed(inventory)
        seconds = time.monotonic() - began

    assert seconds < 4
    assert found["due_holds"].severity == FAIL
    assert found["due_holds"].description == "no answer within 2 s: what it asks hangs, or is locked"
    assert {found[name].severity for name in ("database", "clock", "schema", "pool", "sessions")} == {OK}


async def test_with_the_database_away_the_answer_says_so_and_what_else_it_knows(inventory_url: str) -> None:
    async with (
        wire_to(inventory_url) as (through, wire),
        channel_to(through, **ASLEEP) as (_, channel),
    ):
        wire.refuse = True
        wire.cut()
        began = time.monotonic()
        answer = await ops_pb2_grpc.OpsServiceStub(channel).GetDiagnostics(
            pb.GetDiagnosticsRequest(), timeout=5
        )
        seconds = time.monotonic() - began
        wire.refuse = False

    found = {diagnosis.probe: diagnosis for diagnosis in answer.diagnoses}
    assert list(found) == PROBES
    assert seconds < 4
    assert answer.severity == FAIL
    assert found["database"].description.startswith("the database cannot be reached (")
    assert found["database"].next_command.startswith("pg_isready -h ")
    assert found["pool"].severity == OK
    assert found["due_holds"].severity == FAIL
