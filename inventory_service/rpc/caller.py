"""For whom a call is made."""

from inventory_service.domain.commands import Actor
from servicekit.calls import current_call

OPERATORS = ("system", "dispatcher")


def current_actor() -> Actor:
    """Who makes the call under way."""
    caller = current_call().caller
    return Actor(caller.name, operator=caller.role in OPERATORS)
