"""Both services as processes over private engines with durability on, for measurements of delivery."""

import re
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from benchmarks.database import database, private_server
from tests.support.services import Pair, migrate


@asynccontextmanager
async def serving(engine: str) -> AsyncIterator[tuple[Pair, str]]:
    """The pair, and a line on the engine of delivery."""
    with (
        tempfile.TemporaryDirectory(prefix="hf-serving-") as folder,
        private_server("postgres") as (inventory_server, _),
        private_server(engine) as (delivery_server, described),
    ):
        async with database(inventory_server) as inventory_url, database(delivery_server) as delivery_url:
            await migrate("inventory", inventory_url)
            await migrate("delivery", delivery_url)
            pair = Pair(inventory_url, delivery_url, Path(folder))
            try:
                await pair.start()
                yield pair, described
            finally:
                await pair.kill()


class Memory:
    """What a process has in memory, and the most that it had since it was last asked to forget."""

    def __init__(self, pid: int) -> None:
        self._folder = Path(f"/proc/{pid}")

    def forget(self) -> float:
        """Begins anew; answers the MiB that are resident now."""
        (self._folder / "clear_refs").write_text("5")
        return self._mib("VmRSS")

    def most(self) -> float:
        """MiB."""
        return self._mib("VmHWM")

    def _mib(self, name: str) -> float:
        found = re.search(rf"{name}:\s+(\d+) kB", (self._folder / "status").read_text())
        assert found is not None
        return int(found[1]) / 1024
