"""Sides of rows upon one inventory: by h2load, by the client in Python, by pgbench."""

from collections.abc import Sequence
from typing import Any

from benchmarks.bench import engine_limit
from benchmarks.bench.results import Load, Void
from benchmarks.bench.row import Row
from benchmarks.bench.sides import Sending, Settle, Side, Tools, reserving
from benchmarks.bench.site import Site, server_pid


class Sides:
    """Makes the sides of rows upon one site."""

    def __init__(self, tools: Tools, place: Site) -> None:
        self._tools = tools
        self._place = place
        database = server_pid(place.url)
        self.servers = place.pids[:1]
        self.databases = [] if database is None else [database]
        self.memory = {} if database is None else {"Postgres, all processes": database}
        self._answered = 0

    def sending(
        self, row: Row, url: str, body: bytes, settle: Settle, *more: str, servers: Sequence[int] = ()
    ) -> Side:
        """By the client in C."""
        client = self._tools.h2load
        assert client is not None
        operate = Sending(client, (url, *more), body, row.in_flight)
        return Side(operate, settle, servers or self.servers, self.databases)

    def calling(self, row: Row, kind: str, settle: Settle, **wish: Any) -> Side:
        """By the client in Python, of one server."""

        async def operate(seconds: float) -> Load:
            return await self._tools.caller.call(
                kind,
                **({"in_flight": row.in_flight, "address": self._place.address, "seconds": seconds} | wish),
            )

        return Side(operate, settle, self.servers, self.databases)

    def engine(self, row: Row) -> Side:
        """By pgbench, without any server of ours."""

        async def operate(seconds: float) -> Load:
            assert self._tools.engine is not None
            words = engine_limit.script(row.sku, self._place.books.stocks)
            return await engine_limit.reserve(
                self._tools.engine, self._place.url, words, clients=row.in_flight, seconds=seconds
            )

        return Side(operate, reserving(self._place), [], self.databases)

    async def count_empties(self, load: Load) -> None:
        """The server must have answered every one; h2load would not notice a refusal."""
        before, self._answered = self._answered, await self._place.empties()
        if self._answered - before != load.operations:
            raise Void(f"{load.operations} empty calls were sent, {self._answered - before} answered")
