"""What calls leave behind in inventory."""

import grpc
from google.protobuf.message import Message
from holdfast.inventory.v1 import movement_pb2, reports_pb2, reservation_pb2, stock_pb2

from chaos.calls.call import SECONDS, plain
from tests.support.town import Town


async def stock_state(town: Town, name: str) -> str:
    """The stock of this name with its ledger and its reservations."""
    return plain(await _stock(town, name), name)


async def state_of_both(town: Town, name: str) -> str:
    """The same, and that of the stock beside it."""
    return plain([*await _stock(town, name), *await _stock(town, f"{name}-beside")], name)


async def low_state(town: Town, name: str) -> str:
    """The same, and whether it runs low."""
    low = [each for each in await _low_stocks(town) if each.sku == name]
    return plain([*await _stock(town, name), *low], name)


async def hold_state(town: Town, name: str) -> str:
    """The same, and for how many hours from its beginning the reservation of this name holds."""
    asked = reservation_pb2.GetReservationRequest(reservation_id=name)
    hold = (await town.inventory.GetReservation(asked, timeout=SECONDS)).reservation
    hours = round((hold.expire_time.seconds - hold.create_time.seconds) / 3_600)
    return plain([*await _stock(town, name), f"{hours} h"], name)


async def figures_state(town: Town, name: str) -> str:
    """What reports say of the stock of this name."""
    request = reports_pb2.GetStockMetricsRequest(sku=name)
    return plain([await town.inventory.GetStockMetrics(request, timeout=SECONDS)], name)


async def _stock(town: Town, sku: str) -> list[Message | str]:
    try:
        stock: Message | str = (
            await town.inventory.GetStock(stock_pb2.GetStockRequest(sku=sku), timeout=SECONDS)
        ).stock
    except grpc.aio.AioRpcError as error:
        if error.code() is not grpc.StatusCode.NOT_FOUND:
            raise
        stock = "none"
    moved = movement_pb2.ListMovementsRequest(sku=sku, page_size=100)
    held = reservation_pb2.ListReservationsRequest(sku=sku, page_size=100)
    return [
        stock,
        await town.inventory.ListMovements(moved, timeout=SECONDS),
        await town.inventory.ListReservations(held, timeout=SECONDS),
    ]


async def _low_stocks(town: Town) -> list[reports_pb2.LowStock]:
    found: list[reports_pb2.LowStock] = []
    page = reports_pb2.ListLowStockRequest(page_size=100)
    while True:
        reply = await town.inventory.ListLowStock(page, timeout=SECONDS)
        found.extend(reply.low_stocks)
        if not reply.next_page_token:
            return found
        page.page_token = reply.next_page_token
