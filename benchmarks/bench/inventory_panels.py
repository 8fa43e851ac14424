"""The further panels of inventory: verbs, more callers, more servers, bigger tables, slower arrivals."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from benchmarks.bench import bodies
from benchmarks.bench.calls_panel import STOCKS, STOCKS_SHORT
from benchmarks.bench.inventory_sides import Sides
from benchmarks.bench.results import Load, Void
from benchmarks.bench.row import Row
from benchmarks.bench.sides import Opened, Tools, reserving
from benchmarks.bench.site import RESERVE, Site, site
from benchmarks.bench.wishes import ANY_SKU, HOT_SKU

FEW, MANY, MANY_SHORT = 1_000, 1_000_000, 20_000


@asynccontextmanager
async def verbs(tools: Tools, rows: Sequence[Row]) -> AsyncIterator[Opened]:
    """Holds that are taken or given back. The ledger grows, so nothing is forgotten between turns."""
    stocks = STOCKS_SHORT if tools.short else STOCKS
    async with site(tools.postgres, stocks) as place:
        sides, before = Sides(tools, place), 0

        async def settle(load: Load) -> None:
            nonlocal before
            before += load.operations // 2
            counts = await place.books.counts()
            resolved = counts["committed"] + counts["released"]
            if (resolved, counts["sales"]) != (before, counts["committed"]):
                raise Void(f"{before} holds were resolved, the books say {counts}")
            await place.books.require(reservations=before, held_units=0, reserved_units=0)
            await place.check_turn()

        made = {row.key: sides.calling(row, "verbs", settle, sku=ANY_SKU, stocks=stocks) for row in rows}
        yield Opened(made, [place.check_all])


@asynccontextmanager
async def clients(tools: Tools, rows: Sequence[Row]) -> AsyncIterator[Opened]:
    """One sku that 1, 16, 64 and 256 callers want."""
    async with site(tools.postgres, FEW) as place:
        sides, url = Sides(tools, place), place.servers[0].url(RESERVE)
        body, settle = bodies.framed([bodies.reserve([HOT_SKU])]), reserving(place)
        made = {row.key: sides.sending(row, url, body, settle) for row in rows}
        yield Opened(made, [place.check_all])


@asynccontextmanager
async def servers(tools: Tools, rows: Sequence[Row]) -> AsyncIterator[Opened]:
    """The same callers in all, spread over several processes."""
    wanted = {row.key: int(row.key.rpartition("-")[2]) for row in rows}
    async with site(tools.postgres, FEW, servers=max(wanted.values())) as place:
        sides, urls = Sides(tools, place), [process.url(RESERVE) for process in place.servers]
        body, settle = bodies.framed([bodies.reserve([HOT_SKU])]), reserving(place)
        made = {
            row.key: sides.sending(
                row, urls[0], body, settle, *urls[1 : wanted[row.key]], servers=place.pids[: wanted[row.key]]
            )
            for row in rows
        }
        numbered = enumerate(place.servers, start=1)
        memory = {f"inventory server {number} of {len(urls)}": process.pid for number, process in numbered}
        yield Opened(made, [place.check_all], memory)


@asynccontextmanager
async def growth(tools: Tools, rows: Sequence[Row]) -> AsyncIterator[Opened]:
    """Three databases: a small one, one a thousand times its size, and a small one without an index of the seed."""
    many = MANY_SHORT if tools.short else MANY
    keys = {row.key for row in rows}
    async with AsyncExitStack() as stack:

        async def opened(wanted: set[str], stocks: int, change: str = "") -> Site | None:
            if not keys & wanted:
                return None
            return await stack.enter_async_context(site(tools.postgres, stocks, change=change))

        few = await opened({"stocks-1000", "indexed-hot"}, FEW)
        large = await opened({"stocks-1000000"}, many)
        drop = "DROP INDEX inventory.idx_stock_reserved"
        bare = await opened({"unindexed", "unindexed-hot"}, FEW, drop)
        places = {
            "stocks-1000": few,
            "indexed-hot": few,
            "stocks-1000000": large,
            "unindexed": bare,
            "unindexed-hot": bare,
        }
        made = {}
        for row in rows:
            place = places[row.key]
            assert place is not None
            body = bodies.framed([bodies.reserve([row.sku])])
            url = place.servers[0].url(RESERVE)
            made[row.key] = Sides(tools, place).sending(row, url, body, reserving(place))
        checks = [place.check_all for place in (few, large, bare) if place]
        memory = {"inventory server, 1,000,000 stocks": large.servers[0].pid} if large else {}
        yield Opened(made, checks, memory)
