"""What the probes see, as Prometheus reads it: fresh or not at all, and never waited for."""

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from servicekit.operations import watching
from servicekit.operations.diagnostics import Diagnosis, Figure, Probe, Severity, fine
from servicekit.operations.probes import common_probes
from servicekit.operations.watching import LastDiagnoses
from servicekit.persistence.engines import create_engine
from servicekit.persistence.transactions import Transactions
from servicekit.schema.migrations import Schema
from tests.servicekit.accounts import Accounts
from tests.servicekit.scripts import write_history
from tests.servicekit.sessions import wire_to
from tests.servicekit.shop import build, open_shop
from tests.support.scrapes import scrape, scraped
from tests.support.services import free_port

DEPTH = Figure("depth_metres", "How deep it is.")
SEVERITY = "holdfast_diagnosis_severity"


@asynccontextmanager
async def watched(url: str, scripts: Path, ahead: timedelta = timedelta()) -> AsyncIterator[str]:
    """Where Prometheus reads of a shop that asks the common probes ten times a second."""
    listen = f"127.0.0.1:{free_port()}"
    schema = Schema("shop", scripts)
    service, _ = build(url, scripts, metrics_listen=listen, diagnose_seconds=0.1)
    service.probes = common_probes(
        service.engine,
        create_engine(url, pool_size=None),
        schema,
        Transactions(service.engine, Accounts),
        lambda: datetime.now(UTC) + ahead,
    )
    async with open_shop(service):
        yield listen


@pytest.fixture
async def scripts(postgres_url: str, tmp_path: Path) -> Path:
    """A history that the database is at the end of."""
    scripts = write_history(tmp_path / "shop")
    migrating = create_engine(postgres_url, for_migrations=True)
    await Schema("shop", scripts).upgrade(migrating)
    await migrating.dispose()
    return scripts


def severities(found: Mapping[str, float]) -> dict[str, float]:
    return {name.split('"')[1]: value for name, value in found.items() if name.startswith(SEVERITY)}


async def test_what_the_common_probes_say_and_see_is_told(postgres_url: str, scripts: Path) -> None:
    async with watched(postgres_url, scripts, ahead=timedelta(hours=1)) as listen:
        found = await scraped(listen, severities)

    assert severities(found) == {"database": 1, "clock": 3, "schema": 1, "pool": 1}
    assert found["holdfast_schema_revision"] == found["holdfast_schema_revision_expected"] == 3
    assert -3605 < found["holdfast_clock_skew_seconds"] < -3595
    assert 0 < found["holdfast_database_answer_seconds"] < 2


async def test_another_revision_is_told_while_nothing_else_works(postgres_url: str, scripts: Path) -> None:
    engine = create_engine(postgres_url)
    async with watched(postgres_url, scripts) as listen:
        async with engine.begin() as connection:
            await connection.execute(text("UPDATE holdfast_schema_version SET version_num = '0002'"))
        found = await scraped(listen, lambda found: found.get("holdfast_schema_revision") == 2)
        stopped = await scraped(listen, lambda found: found["holdfast_serving"] == 0)
    await engine.dispose()

    assert (found["holdfast_schema_revision_expected"], severities(found)["schema"]) == (3, 3)
    assert severities(stopped)["database"] == 1


async def test_a_database_that_hangs_keeps_no_scrape_waiting_and_leaves_no_old_figure(
    postgres_url: str, scripts: Path
) -> None:
    async with wire_to(postgres_url) as (through, wire), watched(through, scripts) as listen:
        seen = await scraped(listen, lambda found: "holdfast_schema_revision" in found)
        wire.hang = True
        wire.cut()
        hung = time.monotonic()
        slowest = 0.0
        while time.monotonic() < hung + 8:
            began = time.monotonic()
            found = await scrape(listen)
            slowest = max(slowest, time.monotonic() - began)
            if "holdfast_schema_revision" not in found:
                break
        wire.refuse, wire.hang = True, False
        wire.cut()
        away = await scraped(listen, lambda found: severities(found).get("database") == 3)

    # A probe is given two seconds.
    assert slowest < 1.5
    assert "holdfast_database_answer_seconds" in seen
    for later in (found, away):
        assert not {"holdfast_database_answer_seconds", "holdfast_clock_skew_seconds"} & later.keys()
        assert "holdfast_event_loop_lag_seconds_count" in later


async def test_a_figure_that_a_probe_does_not_see_any_more_is_gone() -> None:
    answers = [
        fine("deep", {DEPTH: 3}),
        Diagnosis(Severity.WARN, "who knows"),
        Diagnosis(Severity.FAIL, "flat", "pump", {DEPTH: 0}),
    ]

    async def sound() -> Diagnosis:
        return answers.pop(0)

    diagnoses = LastDiagnoses({"lead": Probe(sound, "heave the lead")}, 60)
    told = []
    for _ in range(3):
        await diagnoses.look()
        told.append(samples(diagnoses))

    assert told == [
        {"depth_metres": 3, SEVERITY: 1},
        {SEVERITY: 2},
        {"depth_metres": 0, SEVERITY: 3},
    ]


async def test_what_nobody_looked_at_for_long_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    async def sound() -> Diagnosis:
        return fine("deep", {DEPTH: 3})

    probes: Mapping[str, Probe] = {"lead": Probe(sound, "heave the lead")}
    monkeypatch.setattr(watching, "PROBE_SECONDS", 0.0)
    lasting, passing = LastDiagnoses(probes, 60), LastDiagnoses(probes, 0.01)
    await lasting.look()
    await passing.look()
    time.sleep(0.05)  # noqa: ASYNC251 - nobody looks meanwhile

    assert samples(lasting) == {"depth_metres": 3, SEVERITY: 1}
    assert samples(passing) == {}


def samples(diagnoses: LastDiagnoses) -> dict[str, float]:
    return {sample.name: sample.value for family in diagnoses.collect() for sample in family.samples}
