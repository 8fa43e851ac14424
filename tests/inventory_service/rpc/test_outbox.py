"""Inventory sends no commands, and says so in the words of a service that does."""

import grpc
from holdfast.ops.v1 import ops_pb2 as pb

from tests.inventory_service.client import DISPATCHER, Inventory, refused


async def test_there_is_nothing_in_the_outbox(inventory: Inventory) -> None:
    answer = await inventory.ops.ListOutbox(pb.ListOutboxRequest(), timeout=10)

    assert (list(answer.entries), answer.next_page_token) == ([], "")


async def test_no_entry_can_be_put_back(inventory: Inventory) -> None:
    request = pb.RequeueOutboxRequest(entry_id="7", note="try")

    refusal = await refused(inventory.ops.RequeueOutbox(request, metadata=DISPATCHER, timeout=10))

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "OUTBOX_ENTRY_NOT_FOUND")
    assert refusal.metadata == {"entry_id": "7"}
