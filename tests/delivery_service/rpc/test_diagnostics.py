"""GetDiagnostics names what is wrong, by a fault planted for each probe, on the real engines."""

import asyncio
import re
import time
from datetime import UTC, datetime, timedelta

import grpc
import pytest
from holdfast.ops.v1 import ops_pb2 as pb
from holdfast.ops.v1 import ops_pb2_grpc
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from delivery_service import bootstrap
from delivery_service.persistence import engine_probes
from delivery_service.persistence.engine_probes import durability, locks
from delivery_service.persistence.outbox import PARKED, PENDING
from delivery_service.persistence.probes import oldest_command
from delivery_service.persistence.tables import outbox
from delivery_service.settings import Settings
from servicekit.operations.diagnostics import Severity, fine
from servicekit.operations.grpcurl import Grpcurl
from servicekit.persistence.engines import create_engine
from servicekit.process.server import Server
from tests.delivery_service.client import Delivery
from tests.delivery_service.conftest import Running
from tests.delivery_service.rpc.reconciling import execute
from tests.delivery_service.rpc.test_outbox import parked
from tests.servicekit.sessions import session_id, wire_to

OK, WARN, FAIL = pb.SEVERITY_OK, pb.SEVERITY_WARN, pb.SEVERITY_FAIL
PROBES = [
    *("database", "clock", "schema", "pool"),
    *("durability", "sessions", "locks", "outbox", "parked", "evidence"),
]


async def diagnosed(delivery: Delivery) -> dict[str, pb.Diagnosis]:
    answer = await delivery.ops.GetDiagnostics(pb.GetDiagnosticsRequest(), timeout=5)
    assert answer.severity == max(diagnosis.severity for diagnosis in answer.diagnoses)
    return {diagnosis.probe: diagnosis for diagnosis in answer.diagnoses}


async def test_all_is_well_but_what_tests_leave_out_for_speed(delivery: Delivery) -> None:
    found = await diagnosed(delivery)

    assert list(found) == PROBES
    wrong = {name: diagnosis for name, diagnosis in found.items() if diagnosis.severity != OK}
    assert set(wrong) <= {"durability", "evidence"}
    for diagnosis in found.values():
        assert diagnosis.description
        assert bool(diagnosis.next_command) == (diagnosis.severity != OK)
    assert found["sessions"].description == "isolation READ-COMMITTED, time zone +00:00"


async def test_a_commit_that_may_be_lost_with_the_power_is_named(delivery: Delivery) -> None:
    found = (await diagnosed(delivery))["durability"]

    assert found.severity == FAIL
    assert "innodb_flush_log_at_trx_commit is 0 and should be 1" in found.description
    assert "innodb_doublewrite is OFF and should be ON" in found.description
    assert found.description.endswith("may be lost with the machine's power")
    assert found.next_command.startswith("mysql --socket=/")
    assert "innodb_doublewrite is to be changed before a restart" in found.description


async def test_the_next_command_writes_through_what_can_be_while_the_engine_runs(
    delivery: Delivery, running: Running
) -> None:
    _, _, statements = (await diagnosed(delivery))["durability"].next_command.partition(' -e "')
    engine = create_engine(running.url, pool_size=1)
    try:
        async with engine.connect() as connection:
            for statement in statements.rstrip('"').split("; "):
                await connection.exec_driver_sql(statement)
            mended = await durability(connection)
            await connection.exec_driver_sql("SET GLOBAL innodb_flush_log_at_trx_commit = 0")
    finally:
        await engine.dispose()

    assert mended.description.startswith("innodb_doublewrite is OFF and should be ON, ")


async def test_a_command_that_inventory_does_not_take_is_named_by_its_age(delivery: Delivery) -> None:
    delivery.inventory.down = True
    await delivery.create("DRIVER_TO_USER")
    young = (await diagnosed(delivery))["outbox"]
    await execute(delivery, "UPDATE outbox SET create_time = create_time - INTERVAL 2 MINUTE")
    late = (await diagnosed(delivery))["outbox"]
    await execute(delivery, "UPDATE outbox SET create_time = create_time - INTERVAL 10 MINUTE")
    overdue = (await diagnosed(delivery))["outbox"]
    delivery.inventory.down = False
    await execute(delivery, "UPDATE outbox SET next_attempt_time = create_time WHERE state = 0")
    await delivery.quiet()

    assert young.severity == OK and young.description.startswith("1 commands wait for inventory")
    assert (late.severity, overdue.severity) == (WARN, FAIL)
    assert late.description.endswith("; it was told: UNAVAILABLE: down")
    assert "ListOutbox" in late.next_command
    assert (await diagnosed(delivery))["outbox"].description == "no command waits for inventory"


async def test_of_the_commands_that_wait_the_oldest_tells_its_own_error_and_followers_of_a_parked_one_do_not_wait(
    delivery: Delivery,
) -> None:
    now = datetime.now(UTC)

    def command(package: int, version: int, state: int, minutes: int, error: str | None) -> dict[str, object]:
        return {
            "event_id": f"{package}.{version}",
            "package_id": package,
            "package_sn": f"PG{package}",
            "package_version": version,
            "command": "COMMIT",
            "payload": "{}",
            "trace": "",
            "state": state,
            "attempts": 1,
            "last_error": error,
            "next_attempt_time": now,
            "create_time": now - timedelta(minutes=minutes),
        }

    # Never committed, so that no relay sees it.
    async with delivery.engine.connect() as connection:
        of_parked = [command(1, 1, PARKED, 60, "refused"), command(1, 2, PENDING, 50, None)]
        await connection.execute(outbox.insert(), [*of_parked, command(1, 3, PENDING, 40, None)])
        none = await oldest_command(connection, Grpcurl("-plaintext", "$DELIVERY_ADDRESS"))
        waiting = [command(2, 1, PENDING, 2, "a younger one's"), command(3, 1, PENDING, 10, "its own")]
        await connection.execute(outbox.insert(), waiting)
        told = await oldest_command(connection, Grpcurl("-plaintext", "$DELIVERY_ADDRESS"))
        await connection.execute(outbox.update().where(outbox.c.package_id == 3).values(last_error=None))
        untold = await oldest_command(connection, Grpcurl("-plaintext", "$DELIVERY_ADDRESS"))

    assert none == fine("no command waits for inventory")
    assert re.fullmatch(
        r"2 commands wait for inventory, the oldest for 6\d\d s; it was told: its own", told.description
    )
    assert untold.description.endswith("; it was not answered: no relay runs, or inventory hangs")
    assert {told.severity, untold.severity} == {Severity.FAIL}


async def test_a_parked_command_is_named_with_its_reason(delivery: Delivery) -> None:
    entry = await parked(delivery)

    found = (await diagnosed(delivery))["parked"]

    assert found.severity == FAIL
    assert found.description == (
        f"1 commands are parked, the first is entry {entry.entry_id}, COMMIT of {entry.aggregate}:"
        f" {entry.last_error}"
    )
    assert "OUTBOX_STATE_PARKED" in found.next_command


async def test_a_transaction_that_keeps_others_waiting_is_named_by_its_session(
    delivery: Delivery, running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    await delivery.create("DRIVER_TO_USER")
    await delivery.quiet()
    lock = text("SELECT id FROM tigu_prepare_goods FOR UPDATE")
    waiting = create_engine(running.url, pool_size=1, lock_seconds=10)
    async with delivery.engine.connect() as holder:
        session = (await holder.execute(text("SELECT CONNECTION_ID()"))).scalar_one()
        await holder.execute(lock)
        await asyncio.sleep(1.5)

        async def wait() -> None:
            async with waiting.connect() as waiter:
                await waiter.execute(lock)

        alone = (await diagnosed(delivery))["locks"]
        monkeypatch.setattr(engine_probes, "LONG_SECONDS", 0.5)
        long = (await diagnosed(delivery))["locks"]
        waiter = asyncio.create_task(wait())
        await asyncio.sleep(0.5)
        found = (await diagnosed(delivery))["locks"]
        await holder.rollback()
        await waiter
    await waiting.dispose()

    assert (alone.severity, long.severity, found.severity) == (OK, WARN, FAIL)
    assert f"the transaction of session {session} " in long.description
    assert f"the transaction of session {session} has held locks for" in found.description
    assert found.description.endswith("1 others wait for it")
    assert found.next_command.endswith(f' -e "KILL {session}"')


async def test_a_statement_with_bytes_that_are_no_text_hides_nobody(
    delivery: Delivery, running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    await delivery.create("DRIVER_TO_USER")
    await delivery.quiet()
    monkeypatch.setattr(engine_probes, "LONG_SECONDS", 0.5)
    others = create_engine(running.url, pool_size=1)
    async with delivery.engine.connect() as holder, others.connect() as busy:
        session = await session_id(holder)
        await holder.execute(text("SELECT id FROM tigu_prepare_goods FOR UPDATE"))
        storing = asyncio.create_task(busy.execute(text("SELECT SLEEP(3), :answer"), {"answer": b"\x95\xff"}))
        await asyncio.sleep(1.5)
        found = (await diagnosed(delivery))["locks"]
        await storing
    await others.dispose()

    assert f"the transaction of session {session} has held locks for" in found.description


async def test_of_many_that_wait_for_a_row_neither_the_first_nor_an_older_innocent_is_named(
    delivery: Delivery, running: Running
) -> None:
    other, row = await delivery.create("DRIVER_TO_USER"), await delivery.create("DRIVER_TO_USER")
    await delivery.quiet()
    lock = text("SELECT id FROM tigu_prepare_goods WHERE prepare_sn = :sn FOR UPDATE")
    others = create_engine(running.url, pool_size=5)

    async def wait() -> None:
        async with others.connect() as waiter:
            await waiter.exec_driver_sql("SET SESSION innodb_lock_wait_timeout = 20")
            await waiter.execute(lock, {"sn": row.package_sn})

    async with others.connect() as innocent, others.connect() as holder:
        await innocent.execute(lock, {"sn": other.package_sn})
        await asyncio.sleep(1)
        await holder.execute(lock, {"sn": row.package_sn})
        waiters = [asyncio.create_task(wait()) for _ in range(3)]
        await asyncio.sleep(2)
        found = (await diagnosed(delivery))["locks"]
        session = await session_id(holder)
        await holder.rollback()
        await asyncio.gather(*waiters)
    await others.dispose()

    assert found.next_command.endswith(f' -e "KILL {session}"')
    assert found.description.endswith("3 others wait for it")


async def test_an_account_that_may_not_see_the_transactions_of_others_says_so_and_which_rights_it_lacks(
    limited: AsyncEngine, running: Running
) -> None:
    async with limited.connect() as connection:
        found = await locks(connection)

    assert found.severity is Severity.WARN
    assert found.description == (
        "not known: the service's account may not see others' transactions, and who waits for them"
    )
    granting = re.fullmatch('mysql --socket=.* -u root .* -e "(GRANT PROCESS .*)"', found.next_command)
    assert granting
    async with running.engine.connect() as connection:
        for grant in granting[1].replace("%", "%%").split("; "):
            await connection.exec_driver_sql(grant)
    # Rights of the whole server come to the sessions that begin now.
    await limited.dispose()
    async with limited.connect() as connection:
        # Whatever it sees now: the server has others, too.
        assert not (await locks(connection)).description.startswith("not known")


async def test_with_the_database_away_the_answer_says_so_and_what_else_it_knows(
    delivery: Delivery, running: Running
) -> None:
    async with wire_to(running.url) as (through, wire):
        settings = Settings(
            database_url=through,
            inventory_address="unused",
            evidence_url=str(running.photos),
            listen="127.0.0.1:0",
            drain_pause_seconds=0,
        )
        server = Server(bootstrap.assemble(settings, create_engine(through), running.inventory))
        port = await server.start()
        wire.refuse = True
        wire.cut()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            began = time.monotonic()
            answer = await ops_pb2_grpc.OpsServiceStub(channel).GetDiagnostics(
                pb.GetDiagnosticsRequest(), timeout=5
            )
        seconds = time.monotonic() - began
        await server.stop()

    found = {diagnosis.probe: diagnosis for diagnosis in answer.diagnoses}
    assert list(found) == PROBES
    assert seconds < 4
    assert answer.severity == FAIL
    assert found["database"].description.startswith("the database cannot be reached (")
    assert found["database"].next_command.startswith("mysqladmin --socket=")
    assert "takes writes" in found["evidence"].description
    assert found["parked"].severity == FAIL
