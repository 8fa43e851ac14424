"""`order_ids`, the projection for old readers, which a contract step drops: it is named here and nowhere else."""

from collections.abc import Iterable
from typing import Any

from alembic.util import load_python_file
from sqlalchemy import Column, MetaData, Text, literal_column, text
from sqlalchemy.ext.asyncio import AsyncConnection

from delivery_service.persistence.tables import packages
from servicekit.schema.migrations import Schema

_reading: Any = load_python_file(Schema("delivery").location, "order_lists.py")

listed_packages = packages.to_metadata(MetaData())
"""The packages' table with its column of lists."""
listed_packages.append_column(Column("order_ids", Text, nullable=False))

order_ids = literal_column("tigu_prepare_goods.order_ids", Text).label("order_ids")
"""The column, for a select from the packages."""

_HAS_LISTS = text(
    "SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = DATABASE()"
    " AND table_name = 'tigu_prepare_goods' AND column_name = 'order_ids'"
)


async def has_order_lists(connection: AsyncConnection) -> bool:
    """Whether the column is there still.

    In a transaction that has looked at packages before, the answer holds until its end: the engine lets nobody
    change a table that a transaction has used.
    """
    return bool((await connection.execute(_HAS_LISTS)).scalar())


def order_list(orders: Iterable[int]) -> str:
    """The list as the service writes it."""
    return ",".join(map(str, sorted(orders)))


def orders_in(listed: str) -> tuple[int, ...]:
    """The order ids in a list, by id, as the revisions read them; what is no order id is passed over."""
    parts = _reading.read(listed)
    return tuple(sorted(part.order_id for part in parts if part.order_id is not None))
