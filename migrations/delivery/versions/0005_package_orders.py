"""Keep the orders of a package as rows instead of a list in a text column.

Why: `active_leg` is the package's leg while it is active, else NULL: the unique key lets an order be in one
active package per leg, and orders are found by an index instead of by parts of a text.
Previous release: it goes on; order_ids is written as before, for old readers. What it writes meanwhile is
taken over too: all packages are gone through until a pass adds nothing.
Locks: none but the new rows, of which each commits by itself; packages are read 500 at a time.

Lists that are not clean are reported, one line for each. No foreign keys: legacy ids may be signed.
"""

import logging
from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

log = logging.getLogger("migrations.delivery")

TABLE = "tigu_prepare_goods_order"
BATCH = 500
MOST_PASSES = 20


def upgrade() -> None:
    """Makes the table where it is missing, then fills it."""
    if not sa.inspect(op.get_bind()).has_table(TABLE):
        op.execute(
            sa.text(f"""
            CREATE TABLE {TABLE} (
                prepare_goods_id BIGINT UNSIGNED NOT NULL,
                order_id BIGINT UNSIGNED NOT NULL,
                active_leg TINYINT NULL,
                PRIMARY KEY (prepare_goods_id, order_id),
                UNIQUE KEY uq_prepare_goods_order_active (order_id, active_leg),
                CONSTRAINT ck_prepare_goods_order_leg CHECK (active_leg IN (0, 1))
            ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin
            """)
        )
    with op.get_context().autocommit_block():
        for number in range(1, MOST_PASSES + 1):
            added = _fill(op.get_bind(), report=number == 1)
            log.info("pass %d over the packages added %d orders", number, added)
            if not added:
                return
    raise RuntimeError(
        f"packages are written faster than {MOST_PASSES} passes can follow; run the upgrade again"
    )


def downgrade() -> None:
    """Drops the table; `order_ids` says the same."""
    if sa.inspect(op.get_bind()).has_table(TABLE):
        op.execute(sa.text(f"DROP TABLE {TABLE}"))


def _fill(connection: sa.Connection, *, report: bool) -> int:
    last, seen, added = -1, 0, 0
    while True:
        packages = connection.execute(
            sa.text(
                "SELECT id, prepare_sn, order_ids, prepare_status, type FROM tigu_prepare_goods"
                " WHERE id > :last ORDER BY id LIMIT :batch"
            ),
            {"last": last, "batch": BATCH},
        ).all()
        if not packages:
            return added
        listed = {package.id: _orders(package, report) for package in packages}
        known = _known_orders(connection, {order for orders in listed.values() for order in orders})
        mapped = _mapped(connection, [package.id for package in packages])
        for package in packages:
            for order in listed[package.id]:
                if order not in known:
                    if report:
                        log.warning("package %s: there is no order %d; left out", package.prepare_sn, order)
                elif (package.id, order) not in mapped:
                    _map(connection, package, order)
                    added += 1
        last, seen = packages[-1].id, seen + len(packages)
        log.info("%d packages looked at, up to id %d", seen, last)


def _orders(package: Any, report: bool) -> list[int]:
    """The order ids of a list, each once; what is not clean is reported."""
    orders: list[int] = []
    for problem, order in _parts(package.order_ids):
        if problem and report:
            log.warning("package %s: order_ids %s", package.prepare_sn, problem)
        if order is not None:
            orders.append(order)
    return orders


def _parts(text: str) -> Iterator[tuple[str | None, int | None]]:
    if len(text) > 100:
        yield f"has {len(text)} characters, more than idx_order_ids covers", None
    seen: set[int] = set()
    for part in text.split(","):
        bare = part.strip()
        if not bare:
            yield "has a blank part; left out", None
        elif not (bare.isascii() and bare.isdigit() and int(bare) < 2**64):
            yield f"has {bare[:40]!r}, which is no order id; left out", None
        elif int(bare) in seen:
            yield f"has {bare} twice; taken once", None
        else:
            seen.add(int(bare))
            yield (f"has spaces around {bare}; taken without" if part != bare else None), int(bare)


def _known_orders(connection: sa.Connection, orders: set[int]) -> set[int]:
    if not orders:
        return set()
    statement = sa.text("SELECT id FROM tigu_order WHERE id IN :ids").bindparams(
        sa.bindparam("ids", expanding=True)
    )
    return set(connection.execute(statement, {"ids": sorted(orders)}).scalars())


def _mapped(connection: sa.Connection, packages: Sequence[int]) -> set[tuple[int, int]]:
    statement = sa.text(
        f"SELECT prepare_goods_id, order_id FROM {TABLE} WHERE prepare_goods_id IN :ids"  # noqa: S608
    ).bindparams(sa.bindparam("ids", expanding=True))
    return {(package, order) for package, order in connection.execute(statement, {"ids": packages})}


def _map(connection: sa.Connection, package: Any, order: int) -> None:
    active = package.prepare_status is None or package.prepare_status < 6
    leg = package.type if active and package.type in (0, 1) else None
    statement = sa.text(
        f"INSERT INTO {TABLE} (prepare_goods_id, order_id, active_leg) VALUES (:package, :order, :leg)"  # noqa: S608
    )
    try:
        connection.execute(statement, {"package": package.id, "order": order, "leg": leg})
    except sa.exc.IntegrityError:
        # The old system let an order be in two active packages; the first one keeps the leg.
        log.warning(
            "package %s: order %d is in another active package of leg %s", package.prepare_sn, order, leg
        )
        connection.execute(statement, {"package": package.id, "order": order, "leg": None})
