"""What the parts of DeliveryService share."""

import asyncio
from collections.abc import Callable

from holdfast.delivery.v1 import delivery_pb2_grpc

from delivery_service.application.await_settlement import Settlements
from delivery_service.application.photo_ports import PhotoReader, PhotoStore
from delivery_service.rpc.photo_streams import PhotoStreams
from delivery_service.rpc.request_unit_of_work import RequestUnitOfWork
from servicekit.persistence.transactions import Transactions
from servicekit.places import Places
from servicekit.rpc import methods
from servicekit.rpc.mutations import Mutations

PROOFS_AT_ONCE = 8
"""Moves that read their photos; each may have several of 4 MiB."""


class Methods(methods.Methods[RequestUnitOfWork], delivery_pb2_grpc.DeliveryServiceServicer):
    """A part of DeliveryService; the methods of the others are not its own."""

    know_their_effect = True

    def __init__(
        self,
        transactions: Transactions[RequestUnitOfWork],
        mutations: Mutations[RequestUnitOfWork],
        settlements: Settlements,
        nudge_relay: Callable[[], None],
        photo_store: PhotoStore,
        photo_reader: PhotoReader,
        draining: asyncio.Event,
    ) -> None:
        """Uploads end once `draining` is set; `nudge_relay` tells the relay that a command waits in the outbox."""
        super().__init__(transactions, mutations)
        self._settlements = settlements
        self._nudge_relay = nudge_relay
        self._photo_store = photo_store
        self._photo_reader = photo_reader
        self._draining = draining
        self._streams = PhotoStreams()
        self._proofs = Places(PROOFS_AT_ONCE)
