"""The rows of the first panel: everything that one inventory server does, beside a call that does nothing."""

from benchmarks.bench.row import H2LOAD, LINES, PGBENCH, PYTHON, STREAMED, Panel, Row
from benchmarks.bench.wishes import ANY_SKU

CALLS = Panel(
    "calls",
    "One inventory server, 10,000 stocks",
    (
        Row("bare", "empty unary call without interceptors", H2LOAD, "bare"),
        Row("empty", "empty unary call", H2LOAD, "empty"),
        Row("empty-again", "empty unary call, once more", H2LOAD, "empty"),
        Row("reserve-hot", "reserve one unit of one sku", H2LOAD, "reserve"),
        Row("reserve-hot-again", "reserve one unit of one sku, once more", H2LOAD, "reserve"),
        Row("reserve-hot-recorded", "reserve one unit, with a ttl and a request_id", H2LOAD, "recorded"),
        Row("reserve-hot-repeated", "reserve one unit, one call in 20 repeats an id", H2LOAD, "repeated"),
        Row("reserve-uniform", "reserve one unit of any sku", H2LOAD, "reserve", ANY_SKU),
        Row("reserve-lines", "reserve any 50 skus in one call", H2LOAD, "reserve", ANY_SKU, lines=LINES),
        Row("reserve-lines-hot", "reserve the same 50 skus in one call", H2LOAD, "reserve", lines=LINES),
        Row("stream-hot", "reserve over streams, one sku", H2LOAD, "stream", in_flight=4, messages=STREAMED),
        Row("stream-uniform", "reserve over streams, any sku", H2LOAD, "stream", ANY_SKU, 4, 1, STREAMED),
        Row("three-hot", "three statements a request, one sku", H2LOAD, "three"),
        Row("three-first-hot", "three statements, the contended UPDATE first", H2LOAD, "three-first"),
        Row("three-uniform", "three statements a request, any sku", H2LOAD, "three", ANY_SKU),
        Row("single-hot", "one statement a request, one sku", H2LOAD, "single"),
        Row("single-uniform", "one statement a request, any sku", H2LOAD, "single", ANY_SKU),
        Row("lone-reserve", "reserve one unit, one caller", H2LOAD, "reserve", in_flight=1),
        Row("lone-three", "three statements, one caller", H2LOAD, "three", in_flight=1),
        Row("empty-python", "empty unary call", PYTHON, "empty"),
        Row("reserve-hot-python", "reserve one unit of one sku", PYTHON, "reserve"),
        Row("reserve-uniform-python", "reserve one unit of any sku", PYTHON, "reserve", ANY_SKU),
        Row("stream-hot-python", "reserve over streams, one sku", PYTHON, "stream", in_flight=4),
        Row("engine-hot", "the one statement alone, one sku", PGBENCH, "engine", in_flight=10),
        Row("engine-uniform", "the one statement alone, any sku", PGBENCH, "engine", ANY_SKU, 10),
    ),
)
