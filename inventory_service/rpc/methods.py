"""What the parts of InventoryService share."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime

from holdfast.inventory.v1 import inventory_pb2_grpc

from inventory_service.application.answer_wishes import Answer, Wish
from inventory_service.rpc.request_unit_of_work import RequestUnitOfWork
from servicekit.persistence.transactions import Transactions
from servicekit.rpc import methods
from servicekit.rpc.mutations import Mutations


class Methods(methods.Methods[RequestUnitOfWork], inventory_pb2_grpc.InventoryServiceServicer):
    """A part of InventoryService; the methods of the others are not its own."""

    def __init__(
        self,
        transactions: Transactions[RequestUnitOfWork],
        mutations: Mutations[RequestUnitOfWork],
        submit: Callable[[Wish], Awaitable[Answer]],
        refresh: Callable[[], Awaitable[datetime]],
        draining: asyncio.Event,
    ) -> None:
        """Streams end once `draining` is set.

        `submit` decides the verbs of reservations, many in one transaction.
        `refresh` brings the view of figures up to date, and answers the time that it then shows.
        """
        super().__init__(transactions, mutations)
        self._submit = submit
        self._refresh = refresh
        self._draining = draining
