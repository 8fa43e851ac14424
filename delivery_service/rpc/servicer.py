"""DeliveryService, whole: the parts share one way to read, one to change, and the relay."""

from collections.abc import Callable

import grpc
from holdfast.delivery.v1 import delivery_pb2, delivery_pb2_grpc

from delivery_service.application.await_settlement import Settlements
from delivery_service.application.photo_ports import PhotoReader, PhotoStore
from delivery_service.rpc.directory_methods import DirectoryMethods
from delivery_service.rpc.evidence_methods import EvidenceMethods, PhotoStreams
from delivery_service.rpc.move_methods import MoveMethods
from delivery_service.rpc.order_methods import OrderMethods
from delivery_service.rpc.package_methods import PackageMethods
from delivery_service.rpc.work import Work
from servicekit.mutations import Mutations
from servicekit.transactions import Transactions

SERVICE_NAME = delivery_pb2.DESCRIPTOR.services_by_name["DeliveryService"].full_name


class DeliveryServicer(OrderMethods, PackageMethods, MoveMethods, EvidenceMethods, DirectoryMethods):
    """Answers DeliveryService."""

    def __init__(
        self,
        transactions: Transactions[Work],
        mutations: Mutations[Work],
        settlements: Settlements,
        nudge_relay: Callable[[], None],
        photo_store: PhotoStore,
        photo_reader: PhotoReader,
    ) -> None:
        super().__init__(transactions, mutations)
        self._settlements = settlements
        self._nudge_relay = nudge_relay
        self._photo_store = photo_store
        self._photo_reader = photo_reader
        self._streams = PhotoStreams()


def register(server: grpc.aio.Server, servicer: DeliveryServicer) -> None:
    """Adds DeliveryService to the server."""
    delivery_pb2_grpc.add_DeliveryServiceServicer_to_server(servicer, server)
