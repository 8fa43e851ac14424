"""One transaction's repositories, bound to its connection and its time."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from inventory_service.persistence.answers import SqlAnswers
from inventory_service.persistence.daily_facts import SqlDailyFacts
from inventory_service.persistence.imports import SqlImports
from inventory_service.persistence.ledger_archive import SqlLedgerArchive
from inventory_service.persistence.ledger_partitions import SqlLedgerPartitions
from inventory_service.persistence.lock_waits import SqlLocks
from inventory_service.persistence.low_stocks import SqlLowStocks
from inventory_service.persistence.movements import SqlMovements
from inventory_service.persistence.repairs import SqlRepairs
from inventory_service.persistence.reservations import SqlReservations
from inventory_service.persistence.stock_books import SqlStockBooks
from inventory_service.persistence.stock_metrics import SqlMetrics
from inventory_service.persistence.stocks import SqlStocks
from inventory_service.persistence.tables import request
from inventory_service.persistence.tallies import SqlTallies
from servicekit.persistence.requests import RequestLog


class SqlUnitOfWork:
    """What a use case works with; the transaction runner commits it."""

    def __init__(self, connection: AsyncConnection, now: datetime) -> None:
        self.now = now
        self.locks = SqlLocks(connection)
        self.movements = SqlMovements(connection)
        self.books = SqlStockBooks(connection, self.movements)
        self.answers = SqlAnswers(connection)
        self.stocks = SqlStocks(connection, now)
        self.reservations = SqlReservations(connection, now)
        self.imports = SqlImports(connection, now)
        self.ledger_partitions = SqlLedgerPartitions(connection)
        self.ledger_archive = SqlLedgerArchive(connection, now)
        self.tallies = SqlTallies(connection)
        self.metrics = SqlMetrics(connection)
        self.low_stocks = SqlLowStocks(connection)
        self.daily_facts = SqlDailyFacts(connection)
        self.repairs = SqlRepairs(connection, now)
        self.requests = RequestLog(connection, request, now)
