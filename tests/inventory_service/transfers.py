"""Imports and exports in short words."""

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

from google.protobuf.field_mask_pb2 import FieldMask
from holdfast.inventory.v1 import stock_pb2
from holdfast.inventory.v1 import transfer_pb2 as pb
from sqlalchemy import text

from tests.inventory_service.client import SHOP, Inventory, Metadata

Row: TypeAlias = tuple[str, int] | pb.ImportRow


def row(sku: str, quantity: int, line: int = 0, **details: Any) -> pb.ImportRow:
    """A row of an import."""
    given = {"details": stock_pb2.StockDetails(**details)} if details else {}
    return pb.ImportRow(line=line, sku=sku, quantity=quantity, **given)


def messages(
    rows: Iterable[Row],
    import_id: str = "i1",
    *,
    validate_only: bool = False,
    fields: Sequence[str] | None = None,
) -> Iterable[pb.ImportStocksRequest]:
    """The messages of an import: options, then rows."""
    mask = None if fields is None else FieldMask(paths=fields)
    options = pb.ImportOptions(import_id=import_id, validate_only=validate_only, update_mask=mask)
    yield pb.ImportStocksRequest(options=options)
    for each in rows:
        yield pb.ImportStocksRequest(row=each if isinstance(each, pb.ImportRow) else row(*each))


async def imported(
    inventory: Inventory,
    rows: Iterable[Row],
    import_id: str = "i1",
    *,
    metadata: Metadata = SHOP,
    **options: Any,
) -> pb.ImportStocksResponse:
    """ImportStocks."""
    requests = iter(messages(rows, import_id, **options))
    return await inventory.stub.ImportStocks(requests, metadata=metadata, timeout=60)


def counts(done: pb.ImportStocksResponse) -> tuple[int, int, int, int]:
    """(created, updated, unchanged, refused)."""
    return done.created_count, done.updated_count, done.unchanged_count, done.refused_count


def problems(done: pb.ImportStocksResponse) -> list[tuple[int, str, str]]:
    """(line, sku, field) of each problem."""
    return [(problem.line, problem.sku, problem.field) for problem in done.problems]


async def exported(inventory: Inventory, **filters: Any) -> list[stock_pb2.Stock]:
    """ExportStocks, whole."""
    call = inventory.stub.ExportStocks(pb.ExportStocksRequest(**filters), metadata=SHOP, timeout=60)
    return [answer.stock async for answer in call]


async def bulky_stocks(inventory: Inventory, number: int) -> str:
    """Adds empty stocks with notes of 15 kB, more than the windows of a connection hold; answers the notes."""
    notes = "語" * 5000
    add = text(
        "INSERT INTO inventory.stock (sku, quantity, notes)"
        " SELECT 'S' || to_char(n, 'FM00000'), 0, :notes FROM generate_series(1, :number) AS n"
    )
    async with inventory.engine.begin() as connection:
        await connection.execute(add, {"notes": notes, "number": number})
    return notes


async def books(inventory: Inventory) -> list[tuple[Any, ...]]:
    """What the books say of each stock, with its ledger, and nothing that differs from run to run."""
    query = text(
        "SELECT sku, quantity, reserved_quantity, notes, ean, gross_purchase_price, external_ids::text,"
        " (SELECT string_agg(concat_ws(' ', delta, reason, reference, actor), ';' ORDER BY movement_id)"
        "  FROM inventory.stock_movement movement WHERE movement.stock_id = stock.id) AS ledger"
        " FROM inventory.stock ORDER BY sku"
    )
    async with inventory.engine.connect() as connection:
        return [tuple(found) for found in await connection.execute(query)]
