"""Reconcile in short words, and rows put out of order behind the service's back."""

from holdfast.ops.v1 import ops_pb2
from sqlalchemy import text

from tests.delivery_service.client import DISPATCHER, Delivery, Metadata

LONG_AGO = "UPDATE tigu_prepare_goods SET update_time = UTC_TIMESTAMP() - INTERVAL 1 HOUR"


async def execute(delivery: Delivery, statement: str) -> None:
    """As nobody writes: unmarked, so that the service does not take it for a write of the old application."""
    update = "UPDATE tigu_prepare_goods SET "
    async with delivery.engine.begin() as connection:
        await connection.execute(
            text(statement.replace(update, f"{update}legacy_write_time = legacy_write_time, "))
        )


async def reconcile(
    delivery: Delivery, *checks: str, by: Metadata = DISPATCHER, **fields: object
) -> list[ops_pb2.ReconcileResponse]:
    request = ops_pb2.ReconcileRequest(checks=checks, **fields)  # type: ignore[arg-type]
    return [answer async for answer in delivery.ops.Reconcile(request, metadata=by, timeout=900)]
