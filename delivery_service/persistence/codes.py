"""The integers that the legacy tables store, and the words they stand for."""

from delivery_service.domain import legacy
from delivery_service.domain.workflow import StockState, Verb

WORKFLOWS = legacy.WORKFLOWS
WORKFLOW_CODES = {workflow: pair for pair, workflow in WORKFLOWS.items()}

STATES = legacy.STATES
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

ORDER_STATUSES = legacy.ORDER_STATUSES
ORDER_STATUS_CODES = {status: code for code, status in ORDER_STATUSES.items()}

ACTION_TYPES = legacy.ACTION_TYPES

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
