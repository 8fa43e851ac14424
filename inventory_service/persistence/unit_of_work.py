"""One transaction's repositories, bound to its connection and its time."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from inventory_service.persistence.movements import Movements
from inventory_service.persistence.reservations import Reservations
from inventory_service.persistence.stock_books import StockBooks
from inventory_service.persistence.stocks import Stocks
from inventory_service.persistence.tables import request
from servicekit.requests import RequestLog


class UnitOfWork:
    """What a use case works with; the transaction runner commits it."""

    def __init__(self, connection: AsyncConnection, now: datetime) -> None:
        self.now = now
        self.movements = Movements(connection)
        self.books = StockBooks(connection, now, self.movements)
        self.stocks = Stocks(connection, now)
        self.reservations = Reservations(connection, now)
        self.requests = RequestLog(connection, request, now)
