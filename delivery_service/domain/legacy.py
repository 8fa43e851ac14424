"""The numbers of the legacy tables, and the words they stand for."""

from delivery_service.domain.transitions import TRANSITIONS
from delivery_service.domain.workflow import OrderStatus, PackageState, Verb, Workflow

# (delivery_type, shipping_type): 0 merchant or 1 driver, 0 to warehouse or 1 to user.
WORKFLOWS: dict[tuple[int, int], Workflow] = {
    (0, 0): Workflow.MERCHANT_TO_WAREHOUSE,
    (0, 1): Workflow.MERCHANT_TO_USER,
    (1, 0): Workflow.DRIVER_TO_WAREHOUSE,
    (1, 1): Workflow.DRIVER_TO_USER,
}

# prepare_status. The old system stored NULL for PENDING; both are read.
STATES: dict[int | None, PackageState] = {
    None: PackageState.PENDING,
    **dict(enumerate(PackageState, start=-1)),
}

ORDER_STATUSES = dict(enumerate(OrderStatus))

# tigu_order_action.action_type; the old system has no word for the other verbs.
ACTION_TYPES = {
    Verb.PREPARE: 0,
    Verb.PICK_UP: 1,
    Verb.ARRIVE: 2,
    Verb.RECEIVE: 3,
    Verb.SHIP: 4,
    Verb.DELIVER: 5,
}


def states_of(workflow: Workflow) -> frozenset[PackageState]:
    """The states that packages of a workflow may be in."""
    rows = [row for row in TRANSITIONS if row.target is not None and workflow in row.workflows]
    return frozenset(state for row in rows for state in (*row.sources, row.target) if state is not None)
