"""Reservations: their four verbs and their lists."""

from google.protobuf.message import Message
from holdfast.inventory.v1 import reservation_pb2 as pb

from inventory_service.application.answer_wishes import Recorded, Replay, Wish
from inventory_service.application.reads import get_reservation
from inventory_service.domain.commands import ReservationCommand
from inventory_service.domain.reservation import Reservation
from inventory_service.rpc.caller import current_actor
from inventory_service.rpc.messages import reservation
from inventory_service.rpc.methods import Methods
from inventory_service.rpc.request_unit_of_work import RequestUnitOfWork
from servicekit.rpc.context import Context
from servicekit.rpc.methods import Reply
from servicekit.rpc.mutations import REPLAYED, begin
from servicekit.rpc.paging import after_time_and_text, one_page


class ReservationMethods(Methods):
    """The part of InventoryService that speaks of reservations."""

    async def ReserveStock(
        self, request: pb.ReserveStockRequest, context: Context
    ) -> pb.ReserveStockResponse:
        command = reservation.reserve_stock(request, current_actor())
        return await self._decide(command, request, pb.ReserveStockResponse, context)

    async def CommitReservation(
        self, request: pb.CommitReservationRequest, context: Context
    ) -> pb.CommitReservationResponse:
        command = reservation.commit_reservation(request, current_actor())
        return await self._decide(command, request, pb.CommitReservationResponse, context)

    async def ReleaseReservation(
        self, request: pb.ReleaseReservationRequest, context: Context
    ) -> pb.ReleaseReservationResponse:
        command = reservation.release_reservation(request, current_actor())
        return await self._decide(command, request, pb.ReleaseReservationResponse, context)

    async def ExtendReservation(
        self, request: pb.ExtendReservationRequest, context: Context
    ) -> pb.ExtendReservationResponse:
        command = reservation.extend_reservation(request, current_actor())
        return await self._decide(command, request, pb.ExtendReservationResponse, context)

    async def GetReservation(
        self, request: pb.GetReservationRequest, context: Context
    ) -> pb.GetReservationResponse:
        reservation_id = reservation.reservation_id(request)
        found = await self._transactions.read(lambda uow: get_reservation(reservation_id, uow))
        return pb.GetReservationResponse(reservation=reservation.reservation_message(found))

    async def ListReservations(
        self, request: pb.ListReservationsRequest, context: Context
    ) -> pb.ListReservationsResponse:
        wanted, page = reservation.list_reservations(request)
        after = after_time_and_text(page)

        async def work(uow: RequestUnitOfWork) -> list[Reservation]:
            found = await uow.reservations.list_reservations(wanted, page.size + 1, after)
            return [row.at(uow.now) for row in found]

        reservations, token = one_page(
            request,
            page,
            await self._transactions.read(work),
            reservation.reservation_key,
            reservation.reservation_message,
        )
        return pb.ListReservationsResponse(reservations=reservations, next_page_token=token)

    async def _decide(
        self, command: ReservationCommand, request: Message, reply: type[Reply], context: Context
    ) -> Reply:
        decided, replayed = await self._outcome(command, request, reply)
        if replayed:
            await context.send_initial_metadata((REPLAYED,))
        return decided

    async def _outcome(
        self, command: ReservationCommand, request: Message, reply: type[Reply]
    ) -> tuple[Reply, bool]:
        """The reply, and whether it is the stored one of an equal request."""

        def render(decided: Reservation) -> Reply:
            return reply(reservation=reservation.reservation_message(decided))

        key = begin(request)
        recorded = Recorded(key, lambda decided: render(decided).SerializeToString()) if key else None
        answer = await self._submit(Wish(command, recorded))
        if isinstance(answer, Replay):
            return reply.FromString(answer.response), True
        return render(answer), False
