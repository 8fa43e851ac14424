"""Inventory behind the wire: its messages, its use cases and its refusals, over the shelves."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, cast

import grpc
from google.protobuf.message import Message
from holdfast.inventory.v1 import reservation_pb2 as pb

from chaos.simulator.network import Request, at_once, failure
from chaos.simulator.shelves import Shelves, ShelvesUnitOfWork
from chaos.simulator.transactions import ProcessDied, SimulatedTransactions
from inventory_service.application.answer_wishes import Answer, Wish, answer_wishes
from inventory_service.application.ports import UnitOfWork
from inventory_service.application.reads import get_reservation
from inventory_service.domain.commands import Actor, ReservationCommand
from inventory_service.domain.reservation import Reservation
from inventory_service.rpc.messages import reservation
from inventory_service.rpc.statuses import STATUSES

DELIVERY = Actor("system:delivery", operator=True)
VERBS: dict[str, tuple[Callable[[Any, Actor], ReservationCommand], type[Message]]] = {
    "ReserveStock": (reservation.reserve_stock, pb.ReserveStockResponse),
    "CommitReservation": (reservation.commit_reservation, pb.CommitReservationResponse),
    "ReleaseReservation": (reservation.release_reservation, pb.ReleaseReservationResponse),
}
Reply = Message | Exception


class SimulatedInventory:
    """The service; what it answers is a message or the error that its caller gets."""

    def __init__(self, transactions: SimulatedTransactions[Shelves, ShelvesUnitOfWork]) -> None:
        self.transactions = transactions

    def decide(self, requests: Sequence[Request]) -> list[Reply]:
        """Answers requests for verbs that came together, in one batch."""
        try:
            wishes = [Wish(VERBS[each.method][0](each.message, DELIVERY)) for each in requests]
            answers = self.submit(wishes)
        except ProcessDied:
            return [failure(grpc.StatusCode.UNAVAILABLE, "gone")] * len(requests)
        return [_reply(each.method, answer) for each, answer in zip(requests, answers, strict=True)]

    def submit(self, wishes: Sequence[Wish]) -> list[Answer | Exception]:
        """What becomes of wishes. Raises ProcessDied."""
        answers: list[Answer | Exception] = self.run(partial(answer_wishes, wishes))
        return answers

    def run(self, work: Callable[[UnitOfWork], Any]) -> Any:
        """One transaction of a use case, which asks for no more than the shelves give. Raises ProcessDied."""
        return at_once(self.transactions.run(cast(Callable[[ShelvesUnitOfWork], Any], work)))

    def read(self, request: Request) -> Reply:
        """Answers a request for a reservation, or for a list of them."""
        try:
            if request.method == "GetReservation":
                named = reservation.reservation_id(cast(pb.GetReservationRequest, request.message))
                found = self.run(partial(get_reservation, named))
                return pb.GetReservationResponse(reservation=reservation.reservation_message(found))
            wanted, page = reservation.list_reservations(cast(pb.ListReservationsRequest, request.message))
            listed = self.run(lambda uow: uow.reservations.list_reservations(wanted, page.size, None))
            return pb.ListReservationsResponse(reservations=map(reservation.reservation_message, listed))
        except Exception as error:
            return _refusal(error)


def _reply(method: str, answer: Answer | Exception) -> Reply:
    if isinstance(answer, Exception):
        return _refusal(answer)
    reply: Any = VERBS[method][1]
    message: Message = reply(reservation=reservation.reservation_message(cast(Reservation, answer)))
    return message


def _refusal(error: Exception) -> grpc.aio.AioRpcError:
    status: Any = STATUSES.status(error, "simulated")
    return failure(status.code, status.details, tuple(status.trailing_metadata or ()))
