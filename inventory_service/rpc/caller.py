"""For whom a call is made."""

from inventory_service.application.repairing import Operator
from inventory_service.domain.commands import Actor
from inventory_service.domain.errors import CallerNotAllowed
from servicekit.errors import ActorMissing
from servicekit.rpc.calls import current_call

OPERATORS = ("dispatcher",)


def current_actor() -> Actor:
    """Who makes the call under way."""
    caller = current_call().caller
    return Actor(caller.name, operator=caller.role in OPERATORS, others_ids=caller.others_ids)


def current_operator(request_id: str) -> Operator:
    """Who has records mended by the call under way. Raises ActorMissing, CallerNotAllowed."""
    call = current_call()
    if call.caller.role not in OPERATORS:
        raise CallerNotAllowed(call.caller.name, allowed=OPERATORS)
    if call.caller.actor_id is None:
        raise ActorMissing
    return Operator(call.caller.name, request_id, call.call_id)
