"""What is tried at each statement is everything that changes something."""

import pytest
from google.protobuf.descriptor import ServiceDescriptor
from holdfast.delivery.v1 import delivery_pb2
from holdfast.inventory.v1 import inventory_pb2
from holdfast.ops.v1 import ops_pb2

from chaos.calls.every import calls_to

READS = ("Get", "List", "BatchGet", "Check", "Explain", "Export", "Download")


def changing(service: ServiceDescriptor) -> set[str]:
    """The names of its methods that do not only read."""
    return {method.name for method in service.methods if not method.name.startswith(READS)}


INVENTORYS = changing(inventory_pb2.DESCRIPTOR.services_by_name["InventoryService"])
DELIVERYS = changing(delivery_pb2.DESCRIPTOR.services_by_name["DeliveryService"])
OPERATORS = changing(ops_pb2.DESCRIPTOR.services_by_name["OpsService"])
A_PART_OF_EVERY_STEP = {"UploadEvidence"}
WITH_AN_OUTBOX = {"RequeueOutbox"}


@pytest.mark.parametrize(
    ("engine", "wanted"),
    [
        ("postgres", (INVENTORYS | OPERATORS) - WITH_AN_OUTBOX),
        ("mysql", (DELIVERYS | OPERATORS) - A_PART_OF_EVERY_STEP),
    ],
    ids=["inventory", "delivery"],
)
def test_no_method_that_changes_something_is_missing(engine: str, wanted: set[str]) -> None:
    assert {call.method for call in calls_to(engine)} == wanted
