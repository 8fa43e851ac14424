"""What operators see of the schema: what is applied, and which contract steps are due."""

from holdfast.ops.v1 import ops_pb2

from servicekit.schema.migrations import Schema
from tests.delivery_service.client import Delivery


async def test_the_contract_steps_are_told_with_why_not_yet(delivery: Delivery) -> None:
    status = await delivery.ops.GetMigrationStatus(ops_pb2.GetMigrationStatusRequest(), timeout=10)

    assert status.applied_revision == status.expected_revision == Schema("delivery").expected
    assert [(step.name, step.done, step.allowed) for step in status.contract_steps] == [
        ("enforce-status", False, False),
        ("drop-order-ids", False, False),
    ]
    first, second = (step.reason for step in status.contract_steps)
    assert "its 14 days end at" in first
    assert second == "enforce-status comes first"
