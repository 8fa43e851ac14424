"""Every row of the report by its key, panel by panel."""

from benchmarks.bench.call_rows import CALLS
from benchmarks.bench.row import H2LOAD, IN_PROCESS, PYTHON, Panel, Row
from benchmarks.bench.wishes import ANY_SKU

VERBS = Panel(
    "verbs",
    "Reserve, then commit or release",
    (Row("verbs", "reserve + commit or release, any sku; calls", PYTHON),),
)
CLIENTS = Panel(
    "clients",
    "One sku, more and more callers",
    tuple(
        Row(f"clients-{at_once}", "reserve one unit of one sku", H2LOAD, in_flight=at_once)
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
        Row("stocks-1000", "reserve one unit of 1,000 stocks", H2LOAD, sku=ANY_SKU),
        Row("stocks-1000000", "reserve one unit of 1,000,000 stocks", H2LOAD, sku=ANY_SKU),
        Row("unindexed", "reserve one unit of 1,000 stocks, without idx_stock_reserved", H2LOAD, sku=ANY_SKU),
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
        Row("package-prepare", "PreparePackage with its photo", PYTHON),
        Row("package-cancel", "CancelPackage with its hold to be released", PYTHON),
        Row("order-look-up", "GetOrderDeliveryType", PYTHON),
        Row("create-transaction", "the transaction of CreatePackage alone", IN_PROCESS, in_flight=16),
        Row("create-orm", "the same rows through the ORM", IN_PROCESS, in_flight=16),
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
