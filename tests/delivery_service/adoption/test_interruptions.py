"""An adoption may be killed anywhere: the next one finishes it with the same end, or nothing had begun.

`HOLDFAST_ADOPTION_CRASHES=all` kills it at every place on each engine.
"""

import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from delivery_service.adoption.expectations import TABLES
from delivery_service.adoption.run import Dialect, Request
from servicekit.adoption.run import AdoptionRefused, AdoptionUnfinished
from servicekit.persistence.engines import create_engine
from tests.delivery_service.adoption.command import Command, migrate
from tests.delivery_service.adoption.conftest import SCHEMA, Adopt, run_adoption
from tests.delivery_service.adoption.legacy_database import Legacy, lay_out, state
from tests.support.databases import fresh_database

BERLIN = "Europe/Berlin"
LEGACY = Legacy(packages=45, dialect=Dialect.OF_2025_12)
PLACES = {
    "mysql": ("adopt.in_batch:3",),
    "mariadb": ("migrate.between_steps:60",),
}
EVERY_PLACE = (
    *(
        "adopt.after_prepare",
        "adopt.before_begin",
        "adopt.in_batch:1",
        "adopt.in_batch:3",
        "adopt.after_batch:1",
    ),
    *("adopt.after_batch:4", "adopt.in_batch:9", "adopt.after_conversion", "migrate.between_steps:20"),
    *("adopt.after_revisions", "adopt.after_finish"),
    *("migrate.between_steps:60", "migrate.before_version:5", "adopt.in_batch:12", "adopt.after_upgrade"),
    *("adopt.before_finish", "adopt.before_tidy"),
)
NOT_BEGUN = {"adopt.after_prepare", "adopt.before_begin"}
# It had begun, but its first batch is taken back with the transaction that it is killed in.
AS_BEFORE = NOT_BEGUN | {"adopt.in_batch:1"}
FINISHED = {"adopt.after_finish", "adopt.before_tidy"}

End = Callable[[str], Awaitable[dict[str, list[str]]]]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Kills at some places in the suite, at every place in its long form."""
    if "place" in metafunc.fixturenames:
        everywhere = os.environ.get("HOLDFAST_ADOPTION_CRASHES") == "all"
        chosen = {name: EVERY_PLACE if everywhere else places for name, places in PLACES.items()}
        pairs = [(name, place) for name, places in chosen.items() for place in places]
        metafunc.parametrize(("delivery_engine", "place"), pairs)


async def test_an_adoption_that_is_killed_is_finished_by_the_next_with_the_same_end(
    engine: AsyncEngine,
    adopt: Adopt,
    command: Command,
    folder: Path,
    delivery_url: str,
    end: End,
    delivery_engine: str,
    place: str,
) -> None:
    await lay_out(engine, LEGACY)
    before = await state(engine)
    await engine.dispose()
    words = ("adopt", "--dialect", "2025-12", "--time-zone", BERLIN, "--backup", str(folder))
    killed = await command(*words, HOLDFAST_CRASH_AT=place)
    assert killed.code == 137, killed.errors
    untouched = {name: rows for name, rows in (await state(engine)).items() if name in before}
    untouched["tables"] = before["tables"]
    assert (untouched == before) is (place in AS_BEFORE)
    if place not in FINISHED:
        half = await state(engine)
        upgrade = await migrate(delivery_url, "upgrade")
        why = "is one of the legacy system" if place in NOT_BEGUN else "was being adopted when that was cut"
        assert (upgrade.code, why in upgrade.errors) == (1, True), upgrade
        assert await state(engine) == half

    if place not in FINISHED:
        # What was asked for is remembered: to say something else now changes nothing.
        asked = {"dialect": LEGACY.dialect, "time_zone": BERLIN} if place in NOT_BEGUN else {}
        told = await adopt(**asked)
        assert ("was cut short" in told) is (place not in NOT_BEGUN)
        assert "differs" not in told
    else:
        # Only the newest revision can be missing, which every upgrade brings.
        with pytest.raises(
            AdoptionRefused, match="bring it up to date with: delivery-service migrate upgrade"
        ):
            await adopt()
        await SCHEMA.upgrade(engine)

    assert await SCHEMA.applied(engine) == SCHEMA.expected
    assert await content(engine) == await end(delivery_engine)


class _Interrupted(BaseException):
    """Somebody pressed the keys."""


@contextmanager
def _until_verified(title: str, _total: int | None) -> Iterator[Callable[[int], None]]:
    if title == "verifying":
        raise _Interrupted
    yield lambda done: None


@pytest.mark.parametrize("delivery_engine", ["mysql"])
async def test_what_somebody_wrote_meanwhile_is_named_at_the_end(
    engine: AsyncEngine, adopt: Adopt, folder: Path
) -> None:
    await lay_out(engine, Legacy(packages=12))
    request = Request(folder=folder, dialect=Dialect.PHASE_6, without_backup=True)
    with pytest.raises(_Interrupted):
        await run_adoption(engine, request, _until_verified)
    # A server that waits for the newest revision does not begin before all is verified.
    assert await SCHEMA.applied(engine) == SCHEMA.history()[-2].id
    changes = {
        "rows of tigu_order_item that are lost: 1": "DELETE FROM tigu_order_item ORDER BY id LIMIT 1",
        "rows of tigu_prepare_goods whose values changed: 1": (
            "UPDATE tigu_prepare_goods SET total_value = total_value + 0.01 WHERE id = 3"
        ),
        "rows of tigu_driver whose values changed: 1": "UPDATE tigu_driver SET phone = '+499' WHERE id = 4",
        "rows of tigu_order whose values changed: 1": "UPDATE tigu_order SET shop_id = shop_id + 1 ORDER BY id LIMIT 1",
    }
    async with engine.begin() as connection:
        for change in changes.values():
            await connection.exec_driver_sql(change)

    with pytest.raises(AdoptionUnfinished) as unfinished:
        await adopt()

    told = str(unfinished.value)
    assert [says for says in changes if says not in told] == [], told
    assert "mend what is named and run migrate adopt again; or take it as it is with" in told
    assert "adopted: the schema is at" in await adopt(accept_differences=True)


@pytest.fixture(scope="module")
def end(tmp_path_factory: pytest.TempPathFactory) -> End:
    """What such a database holds on an engine after an adoption that nobody killed; each is looked at once."""
    known: dict[str, dict[str, list[str]]] = {}

    async def look(name: str) -> dict[str, list[str]]:
        if name not in known:
            async with fresh_database(name) as url:
                engine = create_engine(url, pool_size=5, for_migrations=True)
                await lay_out(engine, LEGACY)
                reports = tmp_path_factory.mktemp("end")
                request = Request(
                    folder=reports, dialect=LEGACY.dialect, time_zone=BERLIN, without_backup=True
                )
                await run_adoption(engine, request)
                known[name] = await content(engine)
                await engine.dispose()
        return known[name]

    return look


async def content(engine: AsyncEngine) -> dict[str, list[str]]:
    """The rows of the legacy tables, of the mapping and of the timelines, without the time of the adoption itself."""
    found = {}
    async with engine.connect() as connection:
        for table in (*TABLES, "tigu_prepare_goods_order", "package_event"):
            rows = (await connection.exec_driver_sql(f"SELECT * FROM {table}")).mappings()
            of_adoption = [
                dict(row) | ({"create_time": None} if row.get("verb") == "ADOPT" else {}) for row in rows
            ]
            found[table] = sorted(map(repr, of_adoption))
    return found
