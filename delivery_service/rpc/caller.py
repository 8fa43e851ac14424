"""For whom a call is made."""

from delivery_service.application.repairing import Operator
from delivery_service.domain.errors import CallerNotAllowed
from delivery_service.domain.package_event import Actor
from delivery_service.domain.workflow import ActorRole
from servicekit.errors import ActorMissing
from servicekit.rpc.calls import current_call

OPERATORS = ("dispatcher",)


def current_actor() -> Actor:
    """As whom the call under way is made. Raises ActorMissing."""
    caller = current_call().caller
    if caller.role is None or caller.actor_id is None:
        raise ActorMissing
    return Actor(ActorRole(caller.role.upper()), caller.actor_id)


def current_operator(request_id: str) -> Operator:
    """Who has records mended by the call under way. Raises ActorMissing, CallerNotAllowed."""
    caller = current_call().caller
    if caller.role not in OPERATORS:
        raise CallerNotAllowed(caller.name, OPERATORS)
    return Operator(current_actor(), request_id, current_trace())


def current_trace() -> str:
    """The call's id, to be found again in the logs of both services."""
    return current_call().call_id
