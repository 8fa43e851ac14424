"""What is tried at each statement is everything that changes something."""

from collections.abc import Sequence

import pytest
from google.protobuf.descriptor import ServiceDescriptor
from holdfast.delivery.v1 import delivery_pb2
from holdfast.inventory.v1 import inventory_pb2

from chaos.calls.call import Call
from chaos.calls.delivery import DELIVERY
from chaos.calls.inventory import INVENTORY

READS = ("Get", "List", "BatchGet", "Check", "Explain", "Export", "Download")
OTHERS = {
    # A part of every step that has a photo.
    "UploadEvidence",
    # What it changes is what it reads anew.
    "RefreshStockMetrics",
}


@pytest.mark.parametrize(
    ("service", "calls"),
    [
        (inventory_pb2.DESCRIPTOR.services_by_name["InventoryService"], INVENTORY),
        (delivery_pb2.DESCRIPTOR.services_by_name["DeliveryService"], DELIVERY),
    ],
    ids=["inventory", "delivery"],
)
def test_no_method_that_changes_something_is_missing(
    service: ServiceDescriptor, calls: Sequence[Call]
) -> None:
    changing = {method.name for method in service.methods if not method.name.startswith(READS)}

    assert {call.method for call in calls} == changing - OTHERS
