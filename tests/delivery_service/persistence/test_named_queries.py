"""Every named query uses its index and reads few rows, on tables that are large enough to get it wrong."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from benchmarks.many_packages import add_packages
from delivery_service.persistence.named_queries import NAMED_QUERIES, Sample, sample
from delivery_service.persistence.tables import metadata
from delivery_service.persistence.unit_of_work import SqlUnitOfWork
from servicekit.operations.query_plans import explain

PACKAGES = 8_000
OURS = tuple(metadata.tables)
A_PAGE = 420
"""Rows of a page of 51 packages or orders with what belongs to them."""
A_BATCH = 4_000
"""Rows of a batch of 200 of a check or a worker, with what belongs to them."""

ITEMS_AND_ORDERS = "fk_prepare_goods_item_prepare PRIMARY"
# The indexes that may serve the query, and how many rows it may read.
WANTED = {
    "order-delivery-type": ("uq_prepare_goods_order_active PRIMARY", 6),
    "order": ("uq_prepare_goods_order_active PRIMARY idx_order_id", 9),
    "orders": ("PRIMARY idx_order_id", A_PAGE),
    "orders-of-shop": ("idx_order_shop idx_order_id", A_PAGE),
    "orders-of-user": ("idx_order_user idx_order_id", 4),
    "orders-in-status": ("idx_order_status idx_order_id", A_PAGE),
    "package": (f"uq_prepare_sn {ITEMS_AND_ORDERS}", 8),
    "package-locked": (f"uq_prepare_sn {ITEMS_AND_ORDERS}", 8),
    "package-of-hold": (f"uq_prepare_goods_reservation {ITEMS_AND_ORDERS}", 8),
    "packages": (ITEMS_AND_ORDERS, A_PAGE),
    "packages-of-order": (f"uq_prepare_goods_order_active {ITEMS_AND_ORDERS}", 10),
    "packages-of-shop": (f"idx_prepare_goods_shop {ITEMS_AND_ORDERS}", A_PAGE),
    "packages-of-driver": (f"idx_prepare_goods_driver {ITEMS_AND_ORDERS}", A_PAGE),
    "packages-of-warehouse": (f"idx_prepare_goods_warehouse {ITEMS_AND_ORDERS}", A_PAGE),
    "packages-of-shop-in-state": (
        f"idx_prepare_goods_shop idx_prepare_goods_status {ITEMS_AND_ORDERS}",
        A_PAGE,
    ),
    "packages-of-driver-in-state": (
        f"idx_prepare_goods_claim idx_prepare_goods_driver {ITEMS_AND_ORDERS}",
        A_PAGE,
    ),
    "packages-of-warehouse-in-state": (
        f"idx_prepare_goods_warehouse idx_prepare_goods_status {ITEMS_AND_ORDERS}",
        A_PAGE,
    ),
    "packages-of-workflow": (f"idx_delivery_shipping {ITEMS_AND_ORDERS}", A_PAGE),
    "packages-of-workflow-in-state": (f"idx_prepare_goods_workflow_status {ITEMS_AND_ORDERS}", A_PAGE),
    "packages-to-claim": (f"idx_prepare_goods_claim {ITEMS_AND_ORDERS}", A_PAGE),
    "packages-in-state": (f"idx_prepare_goods_status {ITEMS_AND_ORDERS}", A_PAGE),
    "packages-pending": (f"idx_prepare_goods_status {ITEMS_AND_ORDERS}", PACKAGES // 10),
    "packages-by-stock-state": (f"idx_prepare_goods_stock {ITEMS_AND_ORDERS}", A_PAGE),
    "workflow-distribution": ("idx_prepare_goods_workflow_status", PACKAGES + 100),
    "workflow-orders": (
        "idx_delivery_shipping idx_prepare_goods_workflow_status uq_prepare_goods_order_active PRIMARY",
        5 * PACKAGES,
    ),
    "packed-units": ("idx_prepare_goods_item_order_item PRIMARY", 6),
    "events-of-package": ("PRIMARY", 6),
    "last-event": ("PRIMARY", 2),
    "photos-of-package": ("idx_evidence_package uq_evidence_used", 6),
    "photos-of-kind": ("uq_evidence_content idx_evidence_package uq_evidence_used", 6),
    "photos-of-same-bytes": ("idx_evidence_sha256 uq_evidence_used", 6),
    "photos-known": ("PRIMARY idx_evidence_sha256", 6),
    "photos-unused": ("idx_evidence_unused PRIMARY uq_evidence_used", A_BATCH),
    "photos-checked": ("PRIMARY", 200),
    "commands-due": ("idx_outbox_due uq_outbox_version PRIMARY", 200),
    "commands-late": ("idx_outbox_lease idx_outbox_due", 2),
    "commands-done": ("idx_outbox_due uq_outbox_version PRIMARY", A_BATCH),
    "commands-unfinished": ("uq_outbox_version", 6),
    "commands-listed": ("idx_outbox_due PRIMARY", 300),
    "commands-done-listed": ("PRIMARY idx_outbox_due", A_PAGE),
    "commands-stuck": ("idx_outbox_due", 300),
    "legacy-writes-moved": ("idx_prepare_goods_legacy_write PRIMARY", 10),
    "legacy-writes-pending": ("idx_prepare_goods_legacy_write PRIMARY", 10),
    "requests-past": ("ix_request_create_time", 60),
    "mapping-checked": ("PRIMARY", A_BATCH),
    # Each event is compared with the one before it.
    "events-checked": ("PRIMARY", 2 * A_BATCH),
    "proofs-checked": ("PRIMARY uq_evidence_content idx_evidence_package", A_BATCH),
    "holds-checked": (ITEMS_AND_ORDERS, A_BATCH),
}


@pytest.fixture(scope="module")
async def asked(engine: AsyncEngine) -> Sample:
    """Arguments to ask with, after the tables were filled."""
    await add_packages(engine, PACKAGES, history=True)
    async with engine.connect() as connection:
        return await sample(connection)


@pytest.fixture
async def connection(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """A connection whose transaction is rolled back."""
    async with engine.connect() as connection:
        yield connection


@pytest.mark.parametrize("name", WANTED)
async def test_a_named_query_uses_its_index_and_reads_few_rows(
    name: str, asked: Sample, connection: AsyncConnection
) -> None:
    uow, query = SqlUnitOfWork(connection, datetime.now(UTC)), NAMED_QUERIES[name]
    indexes, most = WANTED[name]

    explained = await explain(connection, lambda: query(uow, asked))
    before = await rows_read(connection)
    await query(uow, asked)
    read = await rows_read(connection) - before

    used = [access for plan in explained for access in plan.accesses if access.table.startswith(OURS)]
    assert used
    for access in used:
        # An engine may join a second index to the wanted one, as its statistics of the day have it: the rows are
        # bounded all the same.
        assert set((access.index or "").split(",")) & set(indexes.split()), access
    assert read <= most


async def test_nothing_is_locked_or_written_by_explaining(asked: Sample, engine: AsyncEngine) -> None:
    async with engine.connect() as explaining, engine.connect() as other:
        uow = SqlUnitOfWork(explaining, datetime.now(UTC))
        plans = {
            name: await explain(explaining, lambda name=name: NAMED_QUERIES[name](uow, asked))  # type: ignore[misc]
            for name in ("package-locked", "commands-due", "photos-unused")
        }
        claimed = await SqlUnitOfWork(other, datetime.now(UTC)).outbox.claim(16, 30)
        removed = await SqlUnitOfWork(other, datetime.now(UTC)).evidence.remove_unused(uow.now, 5)

    assert plans["package-locked"][0].statement.endswith("FOR UPDATE")
    assert plans["commands-due"][-1].statement.startswith("UPDATE")
    assert plans["photos-unused"][-1].statement.startswith("DELETE")
    assert len(claimed) > 1
    assert len(removed) == 5


def test_every_named_query_is_asserted() -> None:
    assert set(NAMED_QUERIES) == set(WANTED)


async def rows_read(connection: AsyncConnection) -> int:
    """How many rows, or entries of indexes, the engine has read for this session."""
    counters = (await connection.exec_driver_sql("SHOW SESSION STATUS LIKE 'Handler_read%%'")).all()
    return sum(int(row.Value) for row in counters if not row.Variable_name.endswith(("_retry", "_deleted")))
