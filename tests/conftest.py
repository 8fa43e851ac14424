"""Starts the database engines of a run and gives tests their private databases."""

from collections.abc import AsyncIterator

import pytest

from devtools import interruption
from tests.support.databases import fresh_database
from tests.support.engines import RunEngines

ENGINES = pytest.StashKey[RunEngines]()


def pytest_configure(config: pytest.Config) -> None:
    """Starts the engines in the process that the workers of a parallel run are children of."""
    if hasattr(config, "workerinput") or config.option.collectonly or config.option.help:
        return
    interruption.expect()
    engines = config.stash[ENGINES] = RunEngines()
    capture = config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        engines.start()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Ends what this run started, by process id."""
    if engines := config.stash.get(ENGINES, None):
        engines.discard()


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Says on which engines the run is."""
    engines = config.stash.get(ENGINES, None)
    return engines.report if engines else []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Deals a file's tests to one worker, for each engine apart; the stories of whole processes go first."""
    items.sort(key=lambda item: "system" not in item.path.parts)
    for item in items:
        callspec = getattr(item, "callspec", None)
        engines = {"mysql", "mariadb"}.intersection(map(str, callspec.params.values())) if callspec else ()
        item.add_marker(pytest.mark.xdist_group(" ".join([str(item.path), *engines])))


@pytest.fixture
async def postgres_url() -> AsyncIterator[str]:
    """A fresh, empty Postgres database."""
    async with fresh_database("postgres") as url:
        yield url


@pytest.fixture
async def mysql_url() -> AsyncIterator[str]:
    """A fresh, empty MySQL database."""
    async with fresh_database("mysql") as url:
        yield url


@pytest.fixture
async def mariadb_url() -> AsyncIterator[str]:
    """A fresh, empty MariaDB database."""
    async with fresh_database("mariadb") as url:
        yield url


@pytest.fixture(params=["mysql", "mariadb"])
def delivery_engine(request: pytest.FixtureRequest) -> str:
    """Each engine that the delivery service supports, by name."""
    name: str = request.param
    return name


@pytest.fixture
async def delivery_url(delivery_engine: str) -> AsyncIterator[str]:
    """A fresh, empty database on each engine that the delivery service supports."""
    async with fresh_database(delivery_engine) as url:
        yield url
