"""InventoryService: parse, run a use case in a transaction, render."""

from typing import TypeVar

import grpc
from google.protobuf.message import Message
from holdfast.inventory.v1 import inventory_pb2, inventory_pb2_grpc
from holdfast.inventory.v1 import movement_pb2 as movements
from holdfast.inventory.v1 import reservation_pb2 as reservations
from holdfast.inventory.v1 import stock_pb2 as stocks

from inventory_service.application.adjust_stock import adjust_stock
from inventory_service.application.create_stock import create_stock
from inventory_service.application.decide_reservations import decide_reservation
from inventory_service.application.reads import get_reservation, get_stock
from inventory_service.domain.commands import ReservationCommand
from inventory_service.domain.reservation import Reservation
from inventory_service.rpc.messages import movement, reservation, stock
from inventory_service.rpc.work import Work, current_actor
from servicekit.context import Context
from servicekit.mutations import Mutations
from servicekit.paging import after_time_and_number, after_time_and_text, one_page
from servicekit.transactions import Transactions

SERVICE_NAME = inventory_pb2.DESCRIPTOR.services_by_name["InventoryService"].full_name

Reply = TypeVar("Reply", bound=Message)


class InventoryServicer(inventory_pb2_grpc.InventoryServiceServicer):
    """Keeps the units of every sku. Methods that are not here yet answer UNIMPLEMENTED."""

    def __init__(self, transactions: Transactions[Work], mutations: Mutations[Work]) -> None:
        self._transactions = transactions
        self._mutations = mutations

    async def CreateStock(
        self, request: stocks.CreateStockRequest, context: Context
    ) -> stocks.CreateStockResponse:
        command = stock.create_stock(request, current_actor())

        async def work(uow: Work) -> stocks.CreateStockResponse:
            return stocks.CreateStockResponse(stock=stock.stock_message(await create_stock(command, uow)))

        return await self._mutations.run(request, work, stocks.CreateStockResponse, context=context)

    async def GetStock(self, request: stocks.GetStockRequest, context: Context) -> stocks.GetStockResponse:
        sku = stock.sku(request)
        found = await self._transactions.read(lambda uow: get_stock(sku, uow))
        return stocks.GetStockResponse(stock=stock.stock_message(found))

    async def ListStocks(
        self, request: stocks.ListStocksRequest, context: Context
    ) -> stocks.ListStocksResponse:
        wanted, page = stock.list_stocks(request)
        after = stock.stocks_after(page, wanted.by_sku)
        found = await self._transactions.read(
            lambda uow: uow.stocks.list_stocks(wanted, page.size + 1, after)
        )
        rows, token = one_page(request, page, found, lambda row: stock.stock_key(row, wanted.by_sku))
        return stocks.ListStocksResponse(stocks=map(stock.stock_message, rows), next_page_token=token)

    async def AdjustStock(
        self, request: movements.AdjustStockRequest, context: Context
    ) -> movements.AdjustStockResponse:
        command = movement.adjust_stock(request, current_actor())

        async def work(uow: Work) -> movements.AdjustStockResponse:
            adjusted, entry = await adjust_stock(command, uow)
            return movements.AdjustStockResponse(
                stock=stock.stock_message(adjusted), movement=movement.movement_message(entry)
            )

        return await self._mutations.run(
            request, work, movements.AdjustStockResponse, context=context, name="adjust"
        )

    async def ReserveStock(
        self, request: reservations.ReserveStockRequest, context: Context
    ) -> reservations.ReserveStockResponse:
        command = reservation.reserve_stock(request, current_actor())
        return await self._decide(command, request, reservations.ReserveStockResponse, context)

    async def CommitReservation(
        self, request: reservations.CommitReservationRequest, context: Context
    ) -> reservations.CommitReservationResponse:
        command = reservation.commit_reservation(request, current_actor())
        return await self._decide(command, request, reservations.CommitReservationResponse, context)

    async def ReleaseReservation(
        self, request: reservations.ReleaseReservationRequest, context: Context
    ) -> reservations.ReleaseReservationResponse:
        command = reservation.release_reservation(request, current_actor())
        return await self._decide(command, request, reservations.ReleaseReservationResponse, context)

    async def ExtendReservation(
        self, request: reservations.ExtendReservationRequest, context: Context
    ) -> reservations.ExtendReservationResponse:
        command = reservation.extend_reservation(request, current_actor())
        return await self._decide(command, request, reservations.ExtendReservationResponse, context)

    async def GetReservation(
        self, request: reservations.GetReservationRequest, context: Context
    ) -> reservations.GetReservationResponse:
        reservation_id = reservation.reservation_id(request)
        found = await self._transactions.read(lambda uow: get_reservation(reservation_id, uow))
        return reservations.GetReservationResponse(reservation=reservation.reservation_message(found))

    async def ListReservations(
        self, request: reservations.ListReservationsRequest, context: Context
    ) -> reservations.ListReservationsResponse:
        wanted, page = reservation.list_reservations(request)
        after = after_time_and_text(page)

        async def work(uow: Work) -> list[Reservation]:
            found = await uow.reservations.list_reservations(wanted, page.size + 1, after)
            return [row.at(uow.now) for row in found]

        rows, token = one_page(
            request, page, await self._transactions.read(work), reservation.reservation_key
        )
        return reservations.ListReservationsResponse(
            reservations=map(reservation.reservation_message, rows), next_page_token=token
        )

    async def ListMovements(
        self, request: movements.ListMovementsRequest, context: Context
    ) -> movements.ListMovementsResponse:
        wanted, page = movement.list_movements(request)
        after = after_time_and_number(page)
        found = await self._transactions.read(
            lambda uow: uow.movements.list_movements(wanted, page.size + 1, after)
        )
        rows, token = one_page(request, page, found, movement.movement_key)
        return movements.ListMovementsResponse(
            movements=map(movement.movement_message, rows), next_page_token=token
        )

    async def _decide(
        self,
        command: ReservationCommand,
        request: Message,
        reply: type[Reply],
        context: Context,
    ) -> Reply:
        """Every verb of a reservation knows its own earlier effect, so each may be run again."""

        async def work(uow: Work) -> Reply:
            decided = await decide_reservation(command, uow)
            return reply(reservation=reservation.reservation_message(decided))

        return await self._mutations.run(request, work, reply, context=context, name="batch", repeatable=True)


def register(server: grpc.aio.Server, servicer: InventoryServicer) -> None:
    """Adds InventoryService to the server."""
    inventory_pb2_grpc.add_InventoryServiceServicer_to_server(servicer, server)
