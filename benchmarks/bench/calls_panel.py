"""The panel of everything that one server does, beside a call that does nothing."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from benchmarks.bench import bodies
from benchmarks.bench.inventory_sides import Sides
from benchmarks.bench.row import H2LOAD, LINES, PGBENCH, PYTHON, STREAMED, Row
from benchmarks.bench.sides import Opened, Settle, Side, Tools, repeating, reserving
from benchmarks.bench.site import RESERVE, STREAM, Site, site
from benchmarks.bench.wishes import ANY_SKU, REPEATED_ID

STOCKS, STOCKS_SHORT = 10_000, 500
SAME_SKUS = tuple(f"S{number + 1}" for number in range(LINES))


@asynccontextmanager
async def calls(tools: Tools, rows: Sequence[Row]) -> AsyncIterator[Opened]:
    """Everything that one server does, beside a call that does nothing."""
    async with site(tools.postgres, STOCKS_SHORT if tools.short else STOCKS) as place:
        sides = Sides(tools, place)
        made = {row.key: MAKERS[row.client](row, sides, place) for row in rows}
        memory = {"inventory server": place.servers[0].pid} | sides.memory
        yield Opened(made, [place.check_all], memory)


@dataclass(frozen=True)
class _Sent:
    """What h2load sends where, and how that is judged."""

    url: str
    body: bytes
    settle: Settle


def _by_h2load(row: Row, sides: Sides, place: Site) -> Side:
    sent = _kinds(row, sides, place)[row.kind]
    return sides.sending(row, sent.url, sent.body, sent.settle)


def _kinds(row: Row, sides: Sides, place: Site) -> dict[str, _Sent]:
    server, reserved = place.servers[0], reserving(place, row)
    unary, wanted = server.url(RESERVE), bodies.framed([bodies.reserve(_skus(row))])
    recorded = bodies.framed([bodies.recorded(row.sku)])
    repeated = bodies.framed([bodies.reserve([row.sku], REPEATED_ID)])
    streamed = bodies.stream(row.sku, row.messages)
    return {
        "bare": _Sent(server.method("Empty", bare=True), bodies.empty(), sides.count_empties),
        "empty": _Sent(server.method("Empty"), bodies.empty(), sides.count_empties),
        "reserve": _Sent(unary, wanted, reserved),
        "recorded": _Sent(unary, recorded, reserving(place, row, requests=True)),
        "repeated": _Sent(unary, repeated, repeating(place)),
        "stream": _Sent(server.url(STREAM), streamed, reserved),
        "three": _Sent(server.method("ReserveByThree"), wanted, reserved),
        "three-first": _Sent(server.method("ReserveByThreeUpdateFirst"), wanted, reserved),
        "single": _Sent(server.method("ReserveBySingle"), wanted, reserved),
    }


def _skus(row: Row) -> Sequence[str]:
    if row.lines == 1:
        return [row.sku]
    return [ANY_SKU] * row.lines if row.sku == ANY_SKU else SAME_SKUS[: row.lines]


def _by_python(row: Row, sides: Sides, place: Site) -> Side:
    settle = sides.count_empties if row.kind == "empty" else reserving(place, row)
    return sides.calling(row, row.kind, settle, sku=row.sku, stocks=place.books.stocks, messages=STREAMED)


MAKERS: Mapping[str, Callable[[Row, Sides, Site], Side]] = {
    H2LOAD: _by_h2load,
    PYTHON: _by_python,
    PGBENCH: lambda row, sides, _: sides.engine(row),
}
