"""The same databases without a server as for the repositories, for relays of the tests' own."""

from tests.delivery_service.persistence.conftest import engine, transactions

__all__ = ["engine", "transactions"]
