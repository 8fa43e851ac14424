"""The contracts of the checkout, by package."""

from pathlib import Path

from google.protobuf.descriptor import MethodDescriptor
from holdfast.delivery.v1 import delivery_pb2
from holdfast.inventory.v1 import inventory_pb2
from holdfast.ops.v1 import ops_pb2

ROOT = Path(__file__).parents[2]
PROTOS = ROOT / "protos"

SERVICES = {
    "inventory": inventory_pb2.DESCRIPTOR.services_by_name["InventoryService"],
    "delivery": delivery_pb2.DESCRIPTOR.services_by_name["DeliveryService"],
    "ops": ops_pb2.DESCRIPTOR.services_by_name["OpsService"],
}


def methods() -> list[tuple[str, MethodDescriptor]]:
    """Every method of every contract, with its package's name."""
    return [(package, method) for package, service in SERVICES.items() for method in service.methods]
