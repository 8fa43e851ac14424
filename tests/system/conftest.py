"""Both services as processes; every test of a module shares one pair, and no test needs it untouched."""

from collections.abc import AsyncIterator

import pytest

from tests.support.services import Pair, running_pair
from tests.support.town import Town


@pytest.fixture(scope="module", params=["mysql", "mariadb"])
async def pair(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Pair]:
    """A running pair, once for each engine that delivery supports."""
    async with running_pair(request.param, tmp_path_factory.mktemp("pair")) as pair:
        yield pair


@pytest.fixture
async def town(pair: Pair) -> AsyncIterator[Town]:
    """Warehouse, driver and channels around the pair, both services serving."""
    await pair.start()
    town = Town(pair)
    await town.found()
    yield town
    await town.close()
