"""What is asked of packages: in the seed's SQL, and in the statements that our repositories send."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from delivery_service.application.ports import PackageFilter
from delivery_service.application.reads import get_order
from delivery_service.domain.workflow import Workflow
from delivery_service.persistence.unit_of_work import SqlUnitOfWork
from servicekit.operations.query_plans import explain

Statement = tuple[str, Any]
"""SQL with placeholders, and what stands for them."""

PAST = (6, 7)

# The seed's database has no index but its two; `USE INDEX` leaves ours out of what the optimizer may take.
SEEDS = "USE INDEX (idx_order_ids, idx_delivery_shipping)"
LIKE = (
    "SELECT delivery_type FROM tigu_prepare_goods {} WHERE order_ids LIKE %s AND prepare_status < 6 LIMIT 1"
)
FIND = (
    f"SELECT delivery_type FROM tigu_prepare_goods {SEEDS}"  # noqa: S608
    " WHERE FIND_IN_SET(%s, order_ids) AND prepare_status < 6 LIMIT 1"
)
OLD_JOIN = (
    "SELECT o.id, o.order_sn, pg.delivery_type, pg.shipping_type, pg.prepare_status FROM tigu_order o"  # noqa: S608
    f" LEFT JOIN tigu_prepare_goods pg {SEEDS} ON (pg.order_ids LIKE CONCAT('%%', o.id, '%%')"
    " AND pg.prepare_status < 6) WHERE o.id = %s"
)
OLD_WORKFLOW = (
    "SELECT * FROM tigu_prepare_goods {} WHERE delivery_type = 1 AND shipping_type = 0 AND prepare_status < 6"
)


@dataclass(frozen=True)
class Side:
    """One way to ask: the statements for an order, which need not be timed."""

    name: str
    statements: Callable[[AsyncConnection, int], Awaitable[Sequence[Statement]]]


@dataclass(frozen=True)
class Question:
    """One question and its sides, the old ones first and ours last; `answer` is what the types found amount to."""

    name: str
    sides: Sequence[Side]
    answer: Callable[[Sequence[int]], object] | None = None

    def is_right(self, rows: Sequence[Any], truth: Sequence[int]) -> bool:
        """Whether these rows say of an order what the delivery types of its active packages say."""
        assert self.answer is not None
        found = [
            row.delivery_type
            for row in rows
            if row.delivery_type is not None and getattr(row, "prepare_status", None) not in PAST
        ]
        return self.answer(found) == self.answer(truth)


def _written(sql: str, parameters: Callable[[int], tuple[object, ...]]) -> Any:
    async def statements(_connection: AsyncConnection, order: int) -> Sequence[Statement]:
        return [(sql, parameters(order))]

    return statements


def _sent(work: Callable[[SqlUnitOfWork, int], Awaitable[object]]) -> Any:
    """What the repository sends for an order, caught on its way."""

    async def statements(connection: AsyncConnection, order: int) -> Sequence[Statement]:
        uow = SqlUnitOfWork(connection, datetime.now(UTC))
        sent = await explain(connection, lambda: work(uow, order))
        return [(one.statement, one.parameters) for one in sent]

    return statements


def _like(indexes: str) -> Any:
    return _written(LIKE.format(indexes), lambda order: (f"%{order}%",))


def _workflow(indexes: str) -> Any:
    return _written(OLD_WORKFLOW.format(indexes), lambda _: ())


def _workflow_page(uow: SqlUnitOfWork, _order: int) -> Awaitable[object]:
    return uow.packages.list_packages(PackageFilter(workflow=Workflow.DRIVER_TO_WAREHOUSE), 51, None)


DELIVERY_TYPE = Question(
    "order → delivery type",
    (
        Side("the seed's LIKE, with the seed's indexes", _like(SEEDS)),
        Side("the same, with ours there too", _like("")),
        Side("FIND_IN_SET, with the seed's indexes", _written(FIND, lambda order: (order,))),
        Side("ours, by the mapping", _sent(lambda uow, order: uow.packages.of_orders([order]))),
    ),
    answer=frozenset,
)
ORDER = Question(
    "order with its packages",
    (
        Side("the seed's LEFT JOIN on LIKE", _written(OLD_JOIN, lambda order: (order,))),
        Side("ours, GetOrder: 3 statements, items too", _sent(lambda uow, order: get_order(order, uow))),
    ),
    answer=sorted,
)
WORKFLOW = Question(
    "active packages of a workflow",
    (
        Side("the seed's, without an index", _workflow("USE INDEX ()")),
        Side("the seed's, with idx_delivery_shipping", _workflow(SEEDS)),
        Side("the same, with our indexes there too", _workflow("")),
        Side("ours, the newest 50 with items, 3 statements", _sent(_workflow_page)),
    ),
)
