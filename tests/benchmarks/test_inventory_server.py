"""The server of a measurement: where it does not come up, nothing is measured."""

import pytest

from benchmarks import inventory_server
from benchmarks.inventory_server import serving
from tests.support.services import free_port


async def test_a_server_that_ends_ends_the_measurement() -> None:
    with pytest.raises(SystemExit, match="the server ended with exit code 2"):
        async with serving({"INVENTORY_DATABASE_URL": ""}):
            pass


async def test_a_server_that_never_serves_ends_the_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inventory_server, "START_SECONDS", 3)
    nobody = f"postgresql+asyncpg://nobody@127.0.0.1:{free_port()}/nothing"

    with pytest.raises(SystemExit, match="the server does not serve after 3 s"):
        async with serving({"INVENTORY_DATABASE_URL": nobody}):
            pass
