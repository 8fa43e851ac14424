"""One transaction: every repository over the same connection."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from delivery_service.persistence.consistency import SqlConsistency
from delivery_service.persistence.directory import SqlDrivers, SqlWarehouses
from delivery_service.persistence.evidence import SqlEvidence
from delivery_service.persistence.legacy_writes import SqlLegacyWrites
from delivery_service.persistence.orders import SqlOrders
from delivery_service.persistence.outbox import SqlOutbox
from delivery_service.persistence.outbox_entries import SqlOutboxEntries
from delivery_service.persistence.package_events import SqlPackageEvents
from delivery_service.persistence.packages import SqlPackages
from delivery_service.persistence.packing import SqlPacking
from delivery_service.persistence.repairs import SqlRepairs
from delivery_service.persistence.round_trips import RoundTrips
from delivery_service.persistence.tables import requests
from servicekit.persistence.requests import RequestLog


class SqlUnitOfWork:
    """What a use case works with; `now` is the database's time when the transaction began."""

    def __init__(self, connection: AsyncConnection, now: datetime) -> None:
        self.now = now
        trips = RoundTrips(connection)
        self.together = trips.together
        self.legacy_writes = SqlLegacyWrites(connection)
        self.orders = SqlOrders(connection, now, trips)
        self.packages = SqlPackages(connection, trips)
        self.packing = SqlPacking(connection, trips)
        self.events = SqlPackageEvents(connection, trips)
        self.evidence = SqlEvidence(connection, trips)
        self.drivers = SqlDrivers(connection)
        self.warehouses = SqlWarehouses(connection)
        self.outbox = SqlOutbox(connection, now, trips)
        self.outbox_entries = SqlOutboxEntries(connection)
        self.consistency = SqlConsistency(connection, now)
        self.repairs = SqlRepairs(connection, now)
        self.requests = RequestLog(connection, requests, now)
