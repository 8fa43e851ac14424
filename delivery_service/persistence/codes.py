"""The integers that the legacy tables store, and the words they stand for."""

from delivery_service.domain.workflow import OrderStatus, PackageState, StockState, Verb, Workflow

# (delivery_type, shipping_type): 0 merchant or 1 driver, 0 to warehouse or 1 to user.
WORKFLOWS: dict[tuple[int, int], Workflow] = {
    (0, 0): Workflow.MERCHANT_TO_WAREHOUSE,
    (0, 1): Workflow.MERCHANT_TO_USER,
    (1, 0): Workflow.DRIVER_TO_WAREHOUSE,
    (1, 1): Workflow.DRIVER_TO_USER,
}
WORKFLOW_CODES = {workflow: pair for pair, workflow in WORKFLOWS.items()}

# The old system stored NULL for PENDING; both are read.
STATES: dict[int | None, PackageState] = {
    None: PackageState.PENDING,
    **dict(enumerate(PackageState, start=-1)),
}
STATE_CODES = {state: code for code, state in STATES.items() if code is not None}

STOCK_STATES = dict(
    enumerate(
        (
            StockState.NOT_TRACKED,
            StockState.REQUESTED,
            StockState.HELD,
            StockState.REJECTED,
            StockState.COMMIT_PENDING,
            StockState.COMMITTED,
            StockState.RELEASE_PENDING,
            StockState.RELEASED,
        )
    )
)
STOCK_STATE_CODES = {state: code for code, state in STOCK_STATES.items()}

ORDER_STATUSES = dict(enumerate(OrderStatus))
ORDER_STATUS_CODES = {status: code for code, status in ORDER_STATUSES.items()}

# tigu_order_action.action_type; the old system has no word for the other verbs.
ACTION_TYPES = {
    Verb.PREPARE: 0,
    Verb.PICK_UP: 1,
    Verb.ARRIVE: 2,
    Verb.RECEIVE: 3,
    Verb.SHIP: 4,
    Verb.DELIVER: 5,
}

# The column that tells when a verb was last applied.
STEP_COLUMNS = {
    Verb.PREPARE: "prepare_time",
    Verb.CLAIM: "claim_time",
    Verb.PICK_UP: "pick_up_time",
    Verb.ARRIVE: "arrive_time",
    Verb.RECEIVE: "receive_time",
    Verb.SHIP: "ship_time",
    Verb.DELIVER: "deliver_time",
    Verb.COMPLETE: "complete_time",
    Verb.CANCEL: "cancel_time",
}
