"""Both services as processes; every test of a module shares one pair, and no test needs it untouched."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from devtools.packages import PackagesUnavailable
from tests.support.services import Pair, running_pair
from tests.support.tools import BufCurl, Grpcurl, NodeClient, Tool
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


@pytest.fixture(scope="module")
def node_client() -> NodeClient:
    """The client in Node.js; where none can be had the tests say so."""
    client = NodeClient()
    try:
        client.prepare()
    except PackagesUnavailable as reason:
        pytest.skip(f"no Node.js with @grpc/grpc-js: {reason}")
    return client


@pytest.fixture(params=["grpcurl", "buf", "buf over v1alpha", "node"])
def tool(request: pytest.FixtureRequest) -> Tool:
    """Each tool."""
    if request.param == "node":
        client: NodeClient = request.getfixturevalue("node_client")
        return replace(client)
    tools: dict[str, Tool] = {
        "grpcurl": Grpcurl(),
        "buf": BufCurl(),
        "buf over v1alpha": BufCurl("grpc-v1alpha"),
    }
    return tools[request.param]
