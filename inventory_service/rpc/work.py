"""What a servicer's method works with, and for whom."""

from typing import Protocol

from inventory_service.application.ports import UnitOfWork
from inventory_service.domain.commands import Actor
from servicekit.calls import current_call
from servicekit.mutations import WithRequests

OPERATORS = ("system", "dispatcher")


class Work(UnitOfWork, WithRequests, Protocol):
    """A unit of work that knows the request log too."""


def current_actor() -> Actor:
    """Who makes the call under way."""
    caller = current_call().caller
    return Actor(caller.name, operator=caller.role in OPERATORS)
