"""What is tried at each statement is everything that changes something."""

import pytest
from google.protobuf.descriptor import ServiceDescriptor
from holdfast.delivery.v1 import delivery_pb2
from holdfast.inventory.v1 import inventory_pb2
from holdfast.ops.v1 import ops_pb2

from chaos.calls.every import calls_to

READS = ("Get", "List", "BatchGet", "Check", "Explain", "Export", "Download")
A_PART_OF_EVERY_STEP = {"UploadEvidence"}
DELIVERYS_ONLY = {"RequeueOutbox"}


def changing(service: ServiceDescriptor) -> set[str]:
    """The names of its methods that do not only read."""
    return {method.name for method in service.methods if not method.name.startswith(READS)}


@pytest.mark.parametrize(
    ("engine", "wanted"),
    [
        (
            "postgres",
            changing(inventory_pb2.DESCRIPTOR.services_by_name["InventoryService"])
            | changing(ops_pb2.DESCRIPTOR.services_by_name["OpsService"]) - DELIVERYS_ONLY,
        ),
        (
            "mysql",
            changing(delivery_pb2.DESCRIPTOR.services_by_name["DeliveryService"]) - A_PART_OF_EVERY_STEP
            | changing(ops_pb2.DESCRIPTOR.services_by_name["OpsService"]),
        ),
    ],
    ids=["inventory", "delivery"],
)
def test_no_method_that_changes_something_is_missing(engine: str, wanted: set[str]) -> None:
    assert {call.method for call in calls_to(engine)} == wanted
