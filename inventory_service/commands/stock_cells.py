"""One cell of a CSV of stocks, and the field that it is."""

import json
import re
from collections.abc import Iterator

from holdfast.inventory.v1 import stock_pb2, transfer_pb2

from servicekit.rpc.validation import MOST_QUANTITY

DETAILS = [each.name for each in stock_pb2.StockDetails.DESCRIPTOR.fields]
"""The columns beside sku and quantity."""

_TIMES = ("purchase_time", "delivery_time")
_WHOLE_NUMBER = re.compile(r"-?[0-9]+", re.ASCII)


def read_cell(row: transfer_pb2.ImportRow, name: str, cell: str) -> None:
    """Puts a cell into its field. Raises ValueError with what it must be, UnicodeEncodeError where it is no UTF-8."""
    cell.encode()
    if name == "sku":
        row.sku = cell
    elif name == "quantity":
        if _WHOLE_NUMBER.fullmatch(cell) is None:
            raise ValueError("must be a whole number")
        row.quantity = _quantity(cell)
    elif not cell:
        return
    elif name in _TIMES:
        try:
            getattr(row.details, name).FromJsonString(cell)
        except ValueError:
            raise ValueError("must be a time such as 2024-05-01T10:00:00Z") from None
    elif name == "external_ids":
        row.details.external_ids.update(_texts(cell))
    else:
        setattr(row.details, name, cell)


def cells_of(details: stock_pb2.StockDetails) -> Iterator[str]:
    """What is known, in the order of DETAILS; an empty cell where nothing is."""
    known = {field.name: value for field, value in details.ListFields()}
    for name in DETAILS:
        if name not in known:
            yield ""
        elif name in _TIMES:
            yield known[name].ToJsonString()
        elif name == "external_ids":
            yield json.dumps(dict(known[name]), ensure_ascii=False, sort_keys=True)
        else:
            yield known[name]


def _quantity(cell: str) -> int:
    digits = cell.lstrip("-0") or "0"
    if cell.startswith("-") and digits != "0":
        raise ValueError(f"must be from 0 to {MOST_QUANTITY}")
    # So many digits would not even be a number for int().
    if len(digits) > len(str(MOST_QUANTITY)) or int(digits) > MOST_QUANTITY:
        raise ValueError(f"is too large: must be from 0 to {MOST_QUANTITY}")
    return int(digits)


def _texts(cell: str) -> dict[str, str]:
    try:
        found = json.loads(cell)
    except ValueError:
        found = None
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise ValueError('must be a JSON object of texts such as {"erp": "4711"}')
    return found
