"""What a request of a caller works with."""

from typing import Protocol

from inventory_service.application.ports import UnitOfWork
from servicekit.persistence.requests import WithRequests


class RequestUnitOfWork(UnitOfWork, WithRequests, Protocol):
    """The unit of work, and the log of requests that were answered."""
