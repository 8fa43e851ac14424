"""What the old application writes to packages, taken over: the orders of its lists become rows, and legs are settled.

`legacy_write_time` is set by the engine itself whenever somebody inserts or changes a package without naming the
column, as the old application does; whoever follows the write sets it to NULL. So a write is never missed, however
long its transaction lasted, and what is not followed yet is found by an index. The backfill of 0012 is nothing else,
for that column begins set in every row; the service goes on with the same.

Locks as the service takes them: orders by id, then packages by id.
"""

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic.util import load_python_file

log = logging.getLogger("migrations.delivery")

order_lists: Any = load_python_file(Path(__file__).parent, "order_lists.py")

ACTIVE_BELOW = 6
LEGS = (0, 1)

_HAS_LISTS = sa.text(
    "SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = DATABASE()"
    " AND table_name = 'tigu_prepare_goods' AND column_name = 'order_ids'"
)
_COLUMNS = (
    "SELECT id, prepare_sn, {list} AS order_ids, prepare_status, type, content_digest FROM tigu_prepare_goods"
)
_PENDING = sa.text(
    "SELECT id FROM tigu_prepare_goods WHERE legacy_write_time IS NOT NULL ORDER BY legacy_write_time, id LIMIT :size"
)
# Where the engine keeps update_time by itself, it would say that the package was changed.
_FOLLOWED = (
    "UPDATE tigu_prepare_goods SET legacy_write_time = NULL, update_time = update_time WHERE id IN :ids"
)
_MAPPED = "SELECT prepare_goods_id, order_id FROM tigu_prepare_goods_order WHERE prepare_goods_id IN :ids"
_OF_ORDERS = (
    "SELECT m.prepare_goods_id, m.order_id, m.active_leg, p.type, p.prepare_status FROM tigu_prepare_goods_order m"
    " JOIN tigu_prepare_goods p ON p.id = m.prepare_goods_id WHERE m.order_id IN :ids"
)
_INSERT = sa.text(
    "INSERT INTO tigu_prepare_goods_order (prepare_goods_id, order_id, active_leg) VALUES (:package, :order, :leg)"
)
_UPDATE = sa.text(
    "UPDATE tigu_prepare_goods_order SET active_leg = :leg WHERE prepare_goods_id = :package AND order_id = :order"
)
_DELETE = sa.text(
    "DELETE FROM tigu_prepare_goods_order WHERE prepare_goods_id = :package AND order_id = :order"
)

Key = tuple[int, int]
"""A package's id and an order's."""


@dataclass
class _Row:
    """An order of a package: which leg the package is on while it is active, and which it has taken."""

    leg: int | None
    taken: int | None
    new: bool = False


def pending(connection: sa.Connection, size: int) -> list[int]:
    """The ids of packages whose last write nobody has followed, oldest write first."""
    return list(connection.execute(_PENDING, {"size": size}).scalars())


def has_lists(connection: sa.Connection) -> bool:
    """Whether `order_ids` is there still."""
    return bool(connection.execute(_HAS_LISTS).scalar())


def follow(connection: sa.Connection, ids: Sequence[int], *, wait: bool) -> list[int]:
    """Follows what was written to these packages, in the caller's transaction; answers the ids of those followed.

    With `wait` locks are waited for; without it, packages that somebody else has locked, or orders of theirs, are
    left out. What cannot be taken over as it is written is logged, a line each.
    """
    lists = has_lists(connection)
    seen = {row.id: row for row in _packages(connection, ids, lists)}
    listed = {id_: _orders(row) for id_, row in seen.items()}
    mapped = _mapped(connection, seen)
    wanted = {order for orders in (*listed.values(), *mapped.values()) for order in orders}
    known, locked = _lock_orders(connection, wanted, wait)
    free = [id_ for id_ in seen if not (listed[id_] | mapped[id_]) & (known - locked)]
    packages = [
        row
        for row in _packages(connection, free, lists, "FOR UPDATE" if wait else "FOR UPDATE SKIP LOCKED")
        if row.order_ids == seen[row.id].order_ids
    ]
    _report(packages, known)
    _settle(connection, packages, {row.id: listed[row.id] & known for row in packages}, mapped)
    if packages:
        _run(connection, _FOLLOWED, [row.id for row in packages])
    return [row.id for row in packages]


def _settle(
    connection: sa.Connection,
    packages: Sequence[Any],
    listed: Mapping[int, set[int]],
    mapped: Mapping[int, set[int]],
) -> None:
    """Brings the rows of these packages to what their lists say, and the legs of all their orders in order."""
    gone: set[Key] = set()
    new: dict[Key, _Row] = {}
    for package in packages:
        # A list that the service wrote is a projection; where the two differ, the rows are right.
        if package.content_digest is None and listed[package.id]:
            gone |= {(package.id, order) for order in mapped[package.id] - listed[package.id]}
            for order in listed[package.id] - mapped[package.id]:
                new[package.id, order] = _Row(_leg(package), None, new=True)
    orders = {order for package in packages for order in mapped[package.id] | listed[package.id]}
    rows = {
        (row.prepare_goods_id, row.order_id): _Row(_leg(row), row.active_leg)
        for row in _run(connection, _OF_ORDERS, sorted(orders))
    }
    settled = {key: row for key, row in rows.items() if key not in gone} | new
    legs = dict(_legs(settled))
    changed = {key: leg for key, leg in legs.items() if key not in new and leg != rows[key].taken}
    # A leg is free before somebody else takes it.
    _each(connection, _DELETE, gone)
    _each(connection, _UPDATE, dict.fromkeys(changed))
    _each(connection, _UPDATE, {key: leg for key, leg in changed.items() if leg is not None})
    _each(connection, _INSERT, {key: legs[key] for key in new})
    numbers = {package.id: package.prepare_sn for package in packages}
    for package_id, order in new:
        if (leg := new[package_id, order].leg) is not None and legs[package_id, order] is None:
            log.warning(
                "package %s: order %d is in another active package of leg %s", numbers[package_id], order, leg
            )


def _legs(rows: Mapping[Key, _Row]) -> Iterator[tuple[Key, int | None]]:
    """Who has the leg keeps it while it is active; a free one goes to the package with the lowest id."""
    holders: dict[tuple[int, int], tuple[bool, int]] = {}
    for (package, order), row in rows.items():
        if row.leg is not None:
            claim = (row.taken != row.leg, package)
            holders[order, row.leg] = min(claim, holders.get((order, row.leg), claim))
    for (package, order), row in rows.items():
        won = row.leg is not None and holders[order, row.leg][1] == package
        yield (package, order), row.leg if won else None


def _leg(package: Any) -> int | None:
    active = package.prepare_status is None or package.prepare_status < ACTIVE_BELOW
    return package.type if active and package.type in LEGS else None


def _orders(package: Any) -> set[int]:
    return {part.order_id for part in order_lists.read(package.order_ids or "") if part.order_id is not None}


def _report(packages: Sequence[Any], known: set[int]) -> None:
    for package in packages:
        if package.content_digest is None and package.order_ids is not None:
            for order, fault, text in order_lists.read(package.order_ids):
                if fault:
                    log.warning("package %s: order_ids: %s (%s)", package.prepare_sn, fault, text)
                if order is not None and order not in known:
                    log.warning("package %s: there is no order %d; left out", package.prepare_sn, order)


def _packages(connection: sa.Connection, ids: Collection[int], lists: bool, lock: str = "") -> Sequence[Any]:
    columns = _COLUMNS.format(list="order_ids" if lists else "NULL")
    return _run(connection, f"{columns} WHERE id IN :ids ORDER BY id {lock}", ids)


def _mapped(connection: sa.Connection, ids: Collection[int]) -> dict[int, set[int]]:
    mapped: dict[int, set[int]] = {id_: set() for id_ in ids}
    for package, order in _run(connection, _MAPPED, ids):
        mapped[package].add(order)
    return mapped


def _lock_orders(connection: sa.Connection, orders: set[int], wait: bool) -> tuple[set[int], set[int]]:
    """Those that exist, and those of them that are locked now."""
    lock = "SELECT id FROM tigu_order WHERE id IN :ids ORDER BY id FOR UPDATE"
    locked = {row.id for row in _run(connection, lock if wait else f"{lock} SKIP LOCKED", orders)}
    if wait or locked == orders:
        return locked, locked
    return {row.id for row in _run(connection, "SELECT id FROM tigu_order WHERE id IN :ids", orders)}, locked


def _run(connection: sa.Connection, statement: str, ids: Collection[int]) -> Sequence[Any]:
    if not ids:
        return ()
    bound = sa.text(statement).bindparams(sa.bindparam("ids", expanding=True))
    result = connection.execute(bound, {"ids": sorted(ids)})
    return result.all() if result.returns_rows else ()


def _each(
    connection: sa.Connection, statement: Any, rows: Collection[Key] | Mapping[Key, int | None]
) -> None:
    if rows:
        legs = rows if isinstance(rows, Mapping) else dict.fromkeys(rows)
        connection.execute(
            statement, [{"package": key[0], "order": key[1], "leg": leg} for key, leg in sorted(legs.items())]
        )
