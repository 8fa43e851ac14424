"""Probes beside each other: what each says, and that none keeps the answer waiting."""

import asyncio
import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import make_url

from servicekit.operations.diagnostics import Diagnosis, Probe, Severity, diagnose, fine
from servicekit.operations.probes import common_probes
from servicekit.persistence.engines import create_engine
from servicekit.persistence.transactions import Transactions
from servicekit.schema.migrations import Schema
from tests.servicekit.accounts import Accounts
from tests.servicekit.scripts import write_history
from tests.servicekit.sessions import wire_to


async def test_one_that_hangs_or_fails_is_a_finding_and_the_others_answer() -> None:
    async def hangs() -> Diagnosis:
        while True:
            try:
                await asyncio.sleep(10)
            except asyncio.CancelledError:
                # As a driver does that waits for a server's word to close.
                await asyncio.sleep(3)
                raise

    async def refused() -> Diagnosis:
        raise ConnectionRefusedError

    async def broken() -> Diagnosis:
        raise ZeroDivisionError

    async def cut_off() -> Diagnosis:
        # A driver's own; nobody has told the probe to end.
        raise asyncio.CancelledError

    async def sound() -> Diagnosis:
        return fine("all is well")

    began = time.monotonic()
    asked = {"hangs": hangs, "refused": refused, "broken": broken, "cut off": cut_off, "sound": sound}
    found = await diagnose({name: Probe(ask, f"mend {name}") for name, ask in asked.items()}, 0.2)

    assert time.monotonic() - began < 1.5
    assert list(found) == ["hangs", "refused", "broken", "cut off", "sound"]
    assert [diagnosis.severity for diagnosis in found.values()] == [3, 3, 3, 3, 1]
    assert found["hangs"].description == "no answer within 0.2 s: what it asks hangs, or is locked"
    assert found["refused"].description == "the database could not be asked (ConnectionRefusedError)"
    assert all(
        diagnosis.next_command == f"mend {name}" for name, diagnosis in found.items() if name != "sound"
    )


async def probed(
    url: str, scripts: Path, *, ahead: timedelta = timedelta(), pool_size: int = 2
) -> Mapping[str, Diagnosis]:
    """What the common probes say, by a clock that is so much ahead."""
    engine, watching = create_engine(url, pool_size=pool_size), create_engine(url, pool_size=None)
    probes = common_probes(
        engine,
        watching,
        Schema("shop", scripts),
        Transactions(engine, Accounts),
        lambda: datetime.now(UTC) + ahead,
    )
    found = await diagnose(probes)
    await engine.dispose()
    return found


async def test_a_sound_database_is_fine_and_a_schema_that_is_behind_is_named(
    empty_url: str, tmp_path: Path
) -> None:
    scripts = write_history(tmp_path / "shop")
    migrating = create_engine(empty_url, for_migrations=True)
    await Schema("shop", scripts).upgrade(migrating, "0001")

    behind = await probed(empty_url, scripts)
    await Schema("shop", scripts).upgrade(migrating)
    level = await probed(empty_url, scripts)
    await migrating.dispose()

    assert behind["schema"] == Diagnosis(
        Severity.FAIL,
        "the schema is at 0001, this build expects 0003: calls are refused",
        "shop-service migrate upgrade",
    )
    assert {name: diagnosis.severity for name, diagnosis in level.items()} == {
        "database": 1,
        "clock": 1,
        "schema": 1,
        "pool": 1,
    }
    assert level["schema"].description == "the schema is at 0003, as this build expects"
    assert {diagnosis.next_command for diagnosis in level.values()} == {""}


@pytest.mark.parametrize(
    ("ahead", "severity", "words"),
    [
        (timedelta(seconds=20), Severity.WARN, "20.0 s behind this process's"),
        (timedelta(minutes=-10), Severity.FAIL, "600.0 s ahead of this process's"),
    ],
)
async def test_clocks_that_differ_are_named(
    url: str, tmp_path: Path, ahead: timedelta, severity: Severity, words: str
) -> None:
    found = await probed(url, write_history(tmp_path / "shop"), ahead=ahead)

    assert found["clock"].severity is severity
    assert words in found["clock"].description
    assert found["clock"].next_command


async def test_a_pool_whose_places_for_writers_are_used_up_is_named_and_keeps_no_other_probe_waiting(
    url: str, tmp_path: Path
) -> None:
    engine, watching = create_engine(url), create_engine(url, pool_size=None)
    transactions = Transactions(engine, Accounts)
    schema = Schema("shop", write_history(tmp_path / "shop"))
    probes = common_probes(engine, watching, schema, transactions)
    let_go = asyncio.Event()

    async def hold(_: Accounts) -> None:
        await let_go.wait()

    # Two places are kept for readers, so the rest is all that writers can have.
    writers = [asyncio.create_task(transactions.run(hold)) for _ in range(11)]
    await asyncio.sleep(0.1)
    young = await diagnose(probes)
    await asyncio.sleep(1)
    found = await diagnose(probes)
    let_go.set()
    await asyncio.gather(*writers)
    after = await diagnose(probes)
    await engine.dispose()

    assert young["pool"].severity is Severity.WARN
    assert found["pool"].severity is Severity.FAIL
    assert re.fullmatch(
        r"8 of 10 connections are in use, 3 pieces of work wait for one, the first for \d\.\d s;"
        " where locks do not keep them, SHOP_POOL_SIZE is too small",
        found["pool"].description,
    )
    assert found["pool"].next_command.startswith(("psql -h /", "mysql --socket=/"))
    assert (found["database"].severity, found["clock"].severity) == (Severity.OK, Severity.OK)
    assert after["pool"].severity is Severity.OK


async def test_without_a_database_every_probe_says_so_in_time(url: str, tmp_path: Path) -> None:
    async with wire_to(url) as (through, wire):
        wire.refuse = True
        began = time.monotonic()
        found = await probed(through, write_history(tmp_path / "shop"))

    assert time.monotonic() - began < 4
    assert found["database"].severity is Severity.FAIL
    assert found["database"].description.startswith("the database cannot be reached (")
    assert found["database"].next_command.startswith(("pg_isready -h ", "mysqladmin --socket="))
    assert {found[name].severity for name in ("clock", "schema")} == {Severity.FAIL}
    assert found["pool"].severity is Severity.OK


@pytest.mark.parametrize(
    ("other", "why"),
    [
        ({"username": "nobody-knows"}, "it refuses the account or its password"),
        ({"database": "nowhere"}, "it has no such database"),
    ],
    ids=["account", "database"],
)
async def test_a_server_that_lets_nobody_in_says_why(
    url: str, tmp_path: Path, other: dict[str, str], why: str
) -> None:
    changed = make_url(url).set(**other)  # type: ignore[arg-type]
    found = await probed(changed.render_as_string(False), write_history(tmp_path / "shop"))

    assert found["database"].severity is Severity.FAIL
    assert found["database"].description == f"the database begins no session: {why}"
    assert found["database"].next_command.startswith(("psql -h ", "mysql --socket="))
    assert "SELECT 1" in found["database"].next_command
    assert found["clock"].description == f"the database could not be asked ({why})"


async def test_a_database_that_hangs_keeps_nobody_waiting(url: str, tmp_path: Path) -> None:
    async with wire_to(url) as (through, wire):
        wire.hang = True
        began = time.monotonic()
        found = await probed(through, write_history(tmp_path / "shop"))
        seconds = time.monotonic() - began

    assert seconds < 4
    assert found["pool"].severity is Severity.OK
    for name in ("database", "clock", "schema"):
        assert found[name].description == "no answer within 2 s: what it asks hangs, or is locked"
        assert found[name].next_command.startswith(("pg_isready -h ", "mysqladmin --socket="))


@pytest.mark.parametrize(
    ("driver", "ask"),
    [
        ("postgresql+asyncpg", "pg_isready -h 127.0.0.1 -p 1"),
        ("mysql+asyncmy", "mysqladmin -h 127.0.0.1 -P 1 ping"),
    ],
)
async def test_the_command_to_try_names_the_place_and_no_secret(
    tmp_path: Path, driver: str, ask: str
) -> None:
    found = await probed(
        f"{driver}://canary-user:canary-word@127.0.0.1:1/shop", write_history(tmp_path / "shop")
    )

    assert found["database"].next_command == ask
    assert "canary" not in repr(found)
