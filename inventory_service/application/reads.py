"""Reads one stock or one reservation, without locks."""

from inventory_service.application.ports import UnitOfWork
from inventory_service.domain.errors import ReservationNotFound, StockNotFound
from inventory_service.domain.reservation import Reservation
from inventory_service.domain.stock import Stock


async def get_stock(sku: str, uow: UnitOfWork) -> Stock:
    """The stock as it is now. Raises StockNotFound."""
    stock = await uow.stocks.get(sku)
    if stock is None:
        raise StockNotFound((sku,))
    return stock


async def get_reservation(reservation_id: str, uow: UnitOfWork) -> Reservation:
    """The reservation as it is now, EXPIRED from its expire_time on. Raises ReservationNotFound."""
    reservation = await uow.reservations.get(reservation_id)
    if reservation is None:
        raise ReservationNotFound(reservation_id)
    return reservation.at(uow.now)
