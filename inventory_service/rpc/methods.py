"""What the parts of InventoryService share."""

from holdfast.inventory.v1 import inventory_pb2_grpc

from inventory_service.rpc.work import Work
from servicekit import methods


class Methods(methods.Methods[Work], inventory_pb2_grpc.InventoryServiceServicer):
    """A part of InventoryService; the methods of the others are not its own."""
