"""Whether what a step removes is said elsewhere; a page of packages at a time."""

from typing import Any

from alembic.util import load_python_file
from sqlalchemy import bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

from servicekit.reports.progress import progress
from servicekit.schema.migrations import Schema

NAMED = 20
PAGE = 1000

_order_lists: Any = load_python_file(Schema("delivery").location, "order_lists.py")

_UNKNOWN = text(
    "SELECT prepare_sn, prepare_status FROM tigu_prepare_goods WHERE prepare_status NOT BETWEEN -1 AND 7"
    " ORDER BY id LIMIT 21"
)
_LISTS = text(
    "SELECT id, prepare_sn, order_ids FROM tigu_prepare_goods WHERE id > :after ORDER BY id LIMIT :size"
)
_ROWS = text(
    "SELECT prepare_goods_id, order_id FROM tigu_prepare_goods_order WHERE prepare_goods_id IN :ids"
).bindparams(bindparam("ids", expanding=True))
COUNT_OF_PACKAGES = text("SELECT COUNT(*) FROM tigu_prepare_goods")


async def unknown_statuses(connection: AsyncConnection) -> list[str]:
    """Packages with a status that is none; empty where there are none."""
    rows = (await connection.execute(_UNKNOWN)).all()
    # One more than are named, to tell whether there are more.
    return _named("unknown status", [f"{row.prepare_sn} ({row.prepare_status})" for row in rows], len(rows))


async def differences_from_lists(connection: AsyncConnection) -> list[str]:
    """Packages whose list names other orders than their rows; empty where there are none."""
    after, found, named = 0, 0, list[str]()
    total = (await connection.execute(COUNT_OF_PACKAGES)).scalar_one()
    with progress("lists and rows of orders", total) as advance:
        while page := (await connection.execute(_LISTS, {"after": after, "size": PAGE})).all():
            rows: dict[int, set[int]] = {row.id: set() for row in page}
            for package, order in await connection.execute(_ROWS, {"ids": list(rows)}):
                rows[package].add(order)
            for package in page:
                if _listed(package.order_ids) != rows[package.id]:
                    found += 1
                    if found <= NAMED:
                        named.append(package.prepare_sn)
            after = page[-1].id
            advance(len(page))
    return _named("order_ids lists other orders than the package has", named, found)


def _listed(order_ids: str) -> set[int]:
    return {part.order_id for part in _order_lists.read(order_ids) if part.order_id is not None}


def _named(complaint: str, names: list[str], found: int) -> list[str]:
    if not found:
        return []
    more = f" and more, {found} at least" if found > NAMED else ""
    return [f"{complaint}: {', '.join(names[:NAMED])}{more}; Reconcile repairs what can be repaired"]
