"""What a client asks for that can only send one fixed body: fresh ids, and skus drawn at random, are made here.

Outside of the package: the deserializer of the service's own handler is replaced, the handler is the service's.
"""

import itertools
import os
import random
from collections.abc import Callable
from typing import Any

from holdfast.inventory.v1 import reservation_pb2 as pb

FIXED_ID = "bench"
REPEATED_ID = "bench-repeated"
EVERY = 20
"""Of calls of the repeated id one in so many bears the id of the call before it."""
ANY_SKU = "any"
HOT_SKU = "HOT"
METHODS = ("ReserveStock", "ReserveStockStream")


class Wishes:
    """Turns the fixed body into a request of its own; others are left as they are."""

    def __init__(self, stocks: int) -> None:
        """Any sku is one of S1 … S`stocks`."""
        self._stocks = stocks
        self._prefix = f"b{os.getpid()}-{os.urandom(4).hex()}-"
        self._numbers = itertools.count(1)
        self._repeated = itertools.count(1)
        self._dice = random.Random()

    def deserializer(self, parse: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
        """The same message, made unlike every other."""

        def parse_afresh(content: bytes) -> Any:
            message = parse(content)
            request = message.reserve if isinstance(message, pb.ReserveStockStreamRequest) else message
            if request.reservation_id == FIXED_ID:
                self._make_unique(request)
            elif request.reservation_id == REPEATED_ID:
                request.reservation_id = f"{self._prefix}r{numbered(next(self._repeated))}"
            return message

        return parse_afresh

    def _make_unique(self, request: pb.ReserveStockRequest) -> None:
        request.reservation_id = f"{self._prefix}{next(self._numbers)}"
        if request.request_id:
            request.request_id = request.reservation_id
        if request.lines[0].sku != ANY_SKU:
            return
        if len(request.lines) == 1:
            request.lines[0].sku = f"S{self._dice.randrange(self._stocks) + 1}"
            return
        drawn = self._dice.sample(range(self._stocks), len(request.lines))
        for line, number in zip(request.lines, drawn, strict=True):
            line.sku = f"S{number + 1}"


def numbered(call: int) -> int:
    """The number in the id of a call of the repeated id, counted from 1 on."""
    return call - 1 if call % EVERY == 0 else call


class Substituting:
    """Stands for the server while a service registers its methods."""

    def __init__(self, server: Any, wishes: Wishes) -> None:
        self._server = server
        self._wishes = wishes

    def add_generic_rpc_handlers(self, handlers: Any) -> None:
        """Goes through; registered handlers come before these."""
        self._server.add_generic_rpc_handlers(handlers)

    def add_registered_method_handlers(self, service: str, handlers: dict[str, Any]) -> None:
        """With fixed bodies understood."""
        for method in METHODS:
            if method in handlers:
                handler = handlers[method]
                parse = self._wishes.deserializer(handler.request_deserializer)
                handlers = handlers | {method: handler._replace(request_deserializer=parse)}
        self._server.add_registered_method_handlers(service, handlers)
