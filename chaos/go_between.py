"""Stands between delivery and inventory: passes commands on, loses some, refuses some for good, minds their order."""

import random
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from functools import partial

import grpc
from holdfast.inventory.v1 import inventory_pb2
from holdfast.inventory.v1 import reservation_pb2 as pb

from servicekit.rpc.context import Context

_SERVICE = inventory_pb2.DESCRIPTOR.services_by_name["InventoryService"].full_name
_RESERVE = f"/{_SERVICE}/ReserveStock"
_COMMANDS: Mapping[
    str, type[pb.ReserveStockRequest | pb.CommitReservationRequest | pb.ReleaseReservationRequest]
] = {
    _RESERVE: pb.ReserveStockRequest,
    f"/{_SERVICE}/CommitReservation": pb.CommitReservationRequest,
    f"/{_SERVICE}/ReleaseReservation": pb.ReleaseReservationRequest,
}
_FOR_GOOD = {grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.NOT_FOUND}


class GoBetween(grpc.GenericRpcHandler):
    """All of inventory's methods with one request and one answer."""

    def __init__(self, inventory: grpc.aio.Channel, chosen: random.Random, *, losing: float) -> None:
        """`losing` is the share of commands of which half are lost, and of the other half the answers."""
        self._inventory = inventory
        self._chosen = chosen
        self._losing = losing
        self._latest: dict[str, int] = {}
        self.poisoned: set[str] = set()
        """Packages of which whatever follows the first reserve is refused for good."""
        self.ended: dict[str, set[int]] = {}
        """By package, the places of the commands whose relay was told for certain."""
        self.overtaking: list[str] = []
        self.lost: Counter[str] = Counter()
        self.of_relay: Counter[str] = Counter()
        """How many commands came over each connection."""

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[bytes, bytes]":
        """Bytes come and go."""
        return grpc.unary_unary_rpc_method_handler(partial(self._pass_on, handler_call_details.method))

    async def _pass_on(self, method: str, content: bytes, context: Context) -> bytes:
        kind = _COMMANDS.get(method)
        if kind is None:
            return await self._ask(method, content, context)
        package_sn, _, attempt = kind.FromString(content).reservation_id.rpartition(":")
        place = 2 * (int(attempt) - 1) + (method != _RESERVE)
        ended = self._arrived(package_sn, place, context.peer())
        fate = self._chosen.random()
        if fate < self._losing / 2:
            self.lost["commands lost"] += 1
            await context.abort(grpc.StatusCode.UNAVAILABLE, "the command was lost")
        if package_sn in self.poisoned and place > 0:
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, "poison")
        answer = await self._ask(method, content, context, lambda: ended.add(place))
        if fate < self._losing:
            self.lost["answers lost"] += 1
            await context.abort(grpc.StatusCode.UNAVAILABLE, "the answer was lost")
        ended.add(place)
        return answer

    def _arrived(self, package_sn: str, place: int, peer: str) -> set[int]:
        """A command may come once all before it have ended, and not after a later one."""
        self.of_relay[peer] += 1
        ended = self.ended.setdefault(package_sn, set())
        if place < self._latest.get(package_sn, 0) or not ended >= set(range(place)):
            self.overtaking.append(f"{package_sn}: command {place} came when {sorted(ended)} had ended")
        self._latest[package_sn] = place
        return ended

    async def _ask(
        self, method: str, content: bytes, context: Context, refused: Callable[[], None] = lambda: None
    ) -> bytes:
        """Inventory's answer; `refused` is told of a refusal for good, which is passed on as it is."""
        ask: Callable[..., Awaitable[bytes]] = self._inventory.unary_unary(method)
        try:
            return await ask(
                content, timeout=context.time_remaining(), metadata=context.invocation_metadata()
            )
        except grpc.aio.AioRpcError as error:
            if error.code() in _FOR_GOOD:
                refused()
            await context.abort(error.code(), error.details() or "", tuple(error.trailing_metadata() or ()))
            raise
