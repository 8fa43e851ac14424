"""The panel's part that is the transaction of CreatePackage alone, in two forms that take turns."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial

from sqlalchemy.ext.asyncio import AsyncEngine

from benchmarks.bench import package_books
from benchmarks.bench.results import Load
from benchmarks.bench.row import Row
from benchmarks.bench.sides import Side, Tools
from benchmarks.bench.site import server_pid
from benchmarks.database import database
from servicekit.persistence.engines import create_engine
from servicekit.schema.migrations import Schema


class Forms:
    """The transaction alone, in two forms that write to the same tables in turns."""

    def __init__(self, tools: Tools, url: str, engine: AsyncEngine) -> None:
        self._tools = tools
        self._url = url
        self._engine = engine
        self._created = 0

    def sides(self, rows: Mapping[str, Row]) -> dict[str, Side]:
        """Of those rows that are wanted."""
        database_pid = server_pid(self._url)
        return {
            key: Side(partial(self._create, row), self._settle, [], [database_pid] if database_pid else [])
            for key, row in rows.items()
        }

    async def _create(self, row: Row, seconds: float) -> Load:
        first = self._created + 1
        return await self._tools.caller.call(
            row.key, url=self._url, in_flight=row.in_flight, seconds=seconds, first_order=first
        )

    async def _settle(self, load: Load) -> None:
        self._created = made = self._created + load.operations
        await package_books.require(
            self._engine, packages=made, links=made, items=made, wishes=made, events=made
        )


@asynccontextmanager
async def forms_of(tools: Tools, server: str, orders: int) -> AsyncIterator[Forms]:
    """On a database of its own, whose outbox nobody empties."""
    async with database(server) as url:
        await migrated("delivery", url)
        engine = create_engine(url, pool_size=2, for_migrations=True)
        await package_books.add_orders(engine, orders)
        yield Forms(tools, url, engine)
        await engine.dispose()


async def migrated(service: str, url: str) -> None:
    """Brings an empty database to the schema that the service expects."""
    engine = create_engine(url, pool_size=2, for_migrations=True)
    await Schema(service).upgrade(engine)
    await engine.dispose()
