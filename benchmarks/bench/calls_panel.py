"""The panel of everything that one server does, beside a call that does nothing."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from benchmarks.bench import bodies
from benchmarks.bench.inventory_sides import Sides
from benchmarks.bench.rows import IN_FLIGHT, LINES, STREAMED, Row
from benchmarks.bench.sides import Opened, Side, Tools, reserving, streaming
from benchmarks.bench.site import RESERVE, STREAM, site
from benchmarks.bench.wishes import ANY_SKU, HOT_SKU

STOCKS, STOCKS_SHORT = 10_000, 500
SAME_SKUS = tuple(f"S{number + 1}" for number in range(LINES))


@asynccontextmanager
async def calls(tools: Tools, rows: Sequence[Row]) -> AsyncIterator[Opened]:
    """Everything that one server does, beside a call that does nothing."""
    stocks = STOCKS_SHORT if tools.short else STOCKS
    async with site(tools.postgres, stocks) as place:
        sides, server = Sides(tools, place), place.servers[0]
        reserved, streamed = reserving(place), streaming(place, STREAMED)
        made: dict[str, Side] = {}
        for row in rows:
            what, _, sku = row.key.removesuffix("-python").rpartition("-")
            name = HOT_SKU if sku == "hot" else ANY_SKU
            if row.key in ("empty", "bare"):
                url = server.method("Empty", bare=row.key == "bare")
                made[row.key] = sides.sending(row, url, bodies.empty(), sides.count_empties)
            elif row.key == "empty-python":
                made[row.key] = sides.calling(row, "empty", sides.count_empties)
            elif row.key.endswith("-python"):
                wish = {"sku": name, "stocks": stocks, "in_flight": 4 if what == "stream" else IN_FLIGHT}
                made[row.key] = sides.calling(row, what, reserved, **wish)
            elif row.key.startswith("reserve-lines"):
                body = bodies.unary(*([ANY_SKU] * LINES if sku != "hot" else SAME_SKUS))
                made[row.key] = sides.sending(row, server.url(RESERVE), body, reserving(place, LINES))
            elif what == "reserve":
                made[row.key] = sides.sending(row, server.url(RESERVE), bodies.unary(name), reserved)
            elif what == "stream":
                body = bodies.stream(name, STREAMED)
                made[row.key] = sides.sending(row, server.url(STREAM), body, streamed)
            elif what == "engine":
                made[row.key] = sides.engine(row, HOT_SKU if sku == "hot" else None)
            else:
                method = "ReserveByThree" if what == "three" else "ReserveBySingle"
                made[row.key] = sides.sending(row, server.method(method), bodies.unary(name), reserved)
        yield Opened(made, [place.check_all], {"inventory server": server.pid} | sides.memory)
