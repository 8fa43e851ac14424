"""For whom a call is made."""

from inventory_service.application.repairing import Operator
from inventory_service.domain.commands import Actor
from inventory_service.domain.errors import CallerNotAllowed
from servicekit.calls import current_call

OPERATORS = ("system", "dispatcher")


def current_actor() -> Actor:
    """Who makes the call under way."""
    caller = current_call().caller
    return Actor(caller.name, operator=caller.role in OPERATORS)


def current_operator(request_id: str) -> Operator:
    """Who has records mended by the call under way. Raises CallerNotAllowed."""
    call = current_call()
    if call.caller.role not in OPERATORS:
        raise CallerNotAllowed(call.caller.name, allowed=OPERATORS)
    return Operator(call.caller.name, request_id, call.call_id)
