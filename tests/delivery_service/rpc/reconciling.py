"""Reconcile in short words, and rows put out of order behind the service's back."""

from holdfast.ops.v1 import ops_pb2
from sqlalchemy import text

from tests.delivery_service.client import DISPATCHER, Delivery, Metadata
from tests.support.drifts import unmarked


async def execute(delivery: Delivery, statement: str) -> None:
    """Behind the service's back."""
    async with delivery.engine.begin() as connection:
        await connection.execute(text(unmarked(statement)))


async def reconcile(
    delivery: Delivery, *checks: str, by: Metadata = DISPATCHER, **fields: object
) -> list[ops_pb2.ReconcileResponse]:
    request = ops_pb2.ReconcileRequest(checks=checks, **fields)  # type: ignore[arg-type]
    return [answer async for answer in delivery.ops.Reconcile(request, metadata=by, timeout=900)]
