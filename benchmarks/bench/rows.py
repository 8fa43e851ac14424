"""Every row of the report by its key: what is called, by which client, how many at once."""

from dataclasses import dataclass

IN_FLIGHT = 64
LINES = 50
STREAMED = 64
"""Reservations that one stream of h2load carries."""

H2LOAD, PYTHON, PGBENCH, IN_PROCESS = "h2load", "Python", "pgbench", "in process"


@dataclass(frozen=True)
class Row:
    """One line of the report.

    `units` is how many units one operation reserves, by which a rate is multiplied to compare with single ones.
    """

    key: str
    title: str
    client: str
    in_flight: int = IN_FLIGHT
    units: int = 1


@dataclass(frozen=True)
class Panel:
    """Rows that are compared with each other, and therefore measured in turns."""

    key: str
    title: str
    rows: tuple[Row, ...]


CALLS = Panel(
    "calls",
    "One inventory server, 10,000 stocks",
    (
        Row("bare", "empty unary call without interceptors", H2LOAD),
        Row("empty", "empty unary call", H2LOAD),
        Row("reserve-hot", "reserve one unit of one sku", H2LOAD),
        Row("reserve-uniform", "reserve one unit of any sku", H2LOAD),
        Row("reserve-lines", "reserve any 50 skus in one call", H2LOAD, units=LINES),
        Row("reserve-lines-hot", "reserve the same 50 skus in one call", H2LOAD, units=LINES),
        Row("stream-hot", "reserve over streams, one sku", H2LOAD, in_flight=4, units=STREAMED),
        Row("stream-uniform", "reserve over streams, any sku", H2LOAD, in_flight=4, units=STREAMED),
        Row("three-hot", "three statements a request, one sku", H2LOAD),
        Row("three-uniform", "three statements a request, any sku", H2LOAD),
        Row("single-hot", "one statement a request, one sku", H2LOAD),
        Row("single-uniform", "one statement a request, any sku", H2LOAD),
        Row("empty-python", "empty unary call", PYTHON),
        Row("reserve-hot-python", "reserve one unit of one sku", PYTHON),
        Row("reserve-uniform-python", "reserve one unit of any sku", PYTHON),
        Row("stream-hot-python", "reserve over 4 streams, one sku", PYTHON),
        Row("engine-hot", "the one statement alone, one sku", PGBENCH, in_flight=10),
        Row("engine-uniform", "the one statement alone, any sku", PGBENCH, in_flight=10),
    ),
)
VERBS = Panel(
    "verbs",
    "Reserve, then commit or release",
    (Row("verbs", "reserve + commit or release, any sku; calls", PYTHON),),
)
CLIENTS = Panel(
    "clients",
    "One sku, more and more callers",
    tuple(
        Row(f"clients-{at_once}", "reserve one unit of one sku", H2LOAD, at_once)
        for at_once in (1, 16, 64, 256)
    ),
)
SERVERS = Panel(
    "servers",
    "One sku, several server processes over one database",
    tuple(Row(f"servers-{count}", f"reserve one unit, {count} server(s)", H2LOAD) for count in (1, 2, 4)),
)
GROWTH = Panel(
    "growth",
    "Any sku, tables of different size and indexes",
    (
        Row("stocks-1000", "reserve one unit of 1,000 stocks", H2LOAD),
        Row("stocks-1000000", "reserve one unit of 1,000,000 stocks", H2LOAD),
        Row("unindexed", "reserve one unit of 1,000 stocks, without idx_stock_reserved", H2LOAD),
        Row("unindexed-hot", "reserve one unit of one sku, without idx_stock_reserved", H2LOAD),
        Row("indexed-hot", "reserve one unit of one sku, with it", H2LOAD),
    ),
)
LATENCY = Panel(
    "latency",
    "Answers at a fixed rate of arrivals, one sku",
    tuple(
        Row(f"latency-{share}", f"reserve one unit, arriving at {share} % of the peak", PYTHON, in_flight=0)
        for share in (25, 50, 80)
    ),
)
PACKAGES = Panel(
    "packages",
    "Delivery with inventory beside it",
    (
        Row("package-create", "CreatePackage until its goods are held", PYTHON),
        Row("package-move", "ClaimPackage and ReleaseClaim in turn", PYTHON),
        Row("order-look-up", "GetOrderDeliveryType", PYTHON),
        Row("create-transaction", "the transaction of CreatePackage alone", IN_PROCESS, 16),
        Row("create-orm", "the same rows through the ORM", IN_PROCESS, 16),
    ),
)
KILLED = Panel(
    "killed",
    "SIGKILL of one of two servers in mid-run",
    (Row("killed", "reserve until one sku is sold out, each id repeated until it is answered", PYTHON),),
)

PANELS = (CALLS, VERBS, CLIENTS, SERVERS, GROWTH, LATENCY, PACKAGES, KILLED)


def chosen(words: list[str]) -> dict[str, tuple[Row, ...]]:
    """The rows wanted, by panel: a word is a row's key, the beginning of some, or a panel's; none are all.

    Raises ValueError for a word that names nothing.
    """
    for word in words:
        if not any(_named(word, panel, row) for panel in PANELS for row in panel.rows):
            raise ValueError(f"no row is called {word!r}; see --list")
    found = {
        panel.key: tuple(
            row for row in panel.rows if not words or any(_named(word, panel, row) for word in words)
        )
        for panel in PANELS
    }
    return {key: rows for key, rows in found.items() if rows}


def _named(word: str, panel: Panel, row: Row) -> bool:
    return word == panel.key or row.key == word or row.key.startswith(f"{word}-")
