"""The panel of delivery: packages made and moved and orders looked up, inventory beside it; and its transaction."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from benchmarks.bench.create_panel import forms_of
from benchmarks.bench.row import IN_PROCESS, Row
from benchmarks.bench.shop import shop
from benchmarks.bench.sides import Opened, Panel, Side, Tools
from benchmarks.bench.site import server_pid
from benchmarks.database import private_server

ORDERS, ORDERS_SHORT = 60_000, 5_000


def on_engine(engine: str) -> Panel:
    """The panel with delivery on "mysql" or "mariadb"."""
    return partial(packages, engine)


@asynccontextmanager
async def packages(engine: str, tools: Tools, rows: Sequence[Row]) -> AsyncIterator[Opened]:
    """Both services, and a database of its own for the transaction alone."""
    async with AsyncExitStack() as stack:
        server, line = stack.enter_context(private_server(engine))
        orders = ORDERS_SHORT if tools.short else ORDERS
        made: dict[str, Side] = {}
        processes: dict[str, int] = {}
        checks: list[Callable[[], Awaitable[None]]] = []
        alone = {row.key: row for row in rows if row.client == IN_PROCESS}
        if served := {row.key: row for row in rows if row.key not in alone}:
            place = await stack.enter_async_context(shop(tools, server, orders))
            made |= await place.sides(served)
            checks.append(place.check_all)
            processes["delivery server"] = place.delivery.pid
            processes["inventory server beside delivery"] = place.inventory.pid
        if alone:
            forms = await stack.enter_async_context(forms_of(tools, server, orders))
            made |= forms.sides(alone)
        if pid := server_pid(server):
            processes[line.split(",")[0]] = pid
        yield Opened(made, checks, processes, {"delivery's engine": line})
