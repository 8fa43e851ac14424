"""DeliveryService, whole: the parts share one way to read, one to change, and the relay."""

import grpc
from holdfast.delivery.v1 import delivery_pb2, delivery_pb2_grpc

from delivery_service.rpc.directory_methods import DirectoryMethods
from delivery_service.rpc.evidence_methods import EvidenceMethods
from delivery_service.rpc.move_methods import MoveMethods
from delivery_service.rpc.order_methods import OrderMethods
from delivery_service.rpc.package_methods import PackageMethods

SERVICE_NAME = delivery_pb2.DESCRIPTOR.services_by_name["DeliveryService"].full_name


class DeliveryServicer(OrderMethods, PackageMethods, MoveMethods, EvidenceMethods, DirectoryMethods):
    """Answers DeliveryService."""


def register(server: grpc.aio.Server, servicer: DeliveryServicer) -> None:
    """Adds DeliveryService to the server."""
    delivery_pb2_grpc.add_DeliveryServiceServicer_to_server(servicer, server)
