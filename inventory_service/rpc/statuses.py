"""The table: what inventory refuses → gRPC code. Reasons and facts come from the classes themselves."""

from grpc import StatusCode

from inventory_service.domain import errors
from inventory_service.rpc.messages.reservation import shortage_details
from servicekit.rpc.error_status import ErrorStatuses

STATUSES = ErrorStatuses(
    "inventory.holdfast",
    {
        errors.StockNotFound: StatusCode.NOT_FOUND,
        errors.ListingNotFound: StatusCode.NOT_FOUND,
        errors.ReservationNotFound: StatusCode.NOT_FOUND,
        errors.StockExists: StatusCode.ALREADY_EXISTS,
        errors.ReservationExists: StatusCode.ALREADY_EXISTS,
        errors.ListingExists: StatusCode.ALREADY_EXISTS,
        errors.InsufficientStock: StatusCode.FAILED_PRECONDITION,
        errors.StockNotSellable: StatusCode.FAILED_PRECONDITION,
        errors.StockHasHolds: StatusCode.FAILED_PRECONDITION,
        errors.StockLimitExceeded: StatusCode.FAILED_PRECONDITION,
        errors.StockInconsistent: StatusCode.FAILED_PRECONDITION,
        errors.ReservationExpired: StatusCode.FAILED_PRECONDITION,
        errors.ReservationAlreadyResolved: StatusCode.FAILED_PRECONDITION,
        errors.ReservationTombstoned: StatusCode.FAILED_PRECONDITION,
        errors.QuantityMismatch: StatusCode.FAILED_PRECONDITION,
        errors.IllegalStatusChange: StatusCode.FAILED_PRECONDITION,
        errors.ListingLimitExceeded: StatusCode.FAILED_PRECONDITION,
        errors.ListingPriceIncomplete: StatusCode.FAILED_PRECONDITION,
        errors.CallerNotAllowed: StatusCode.PERMISSION_DENIED,
        errors.EtagMismatch: StatusCode.ABORTED,
    },
    {errors.InsufficientStock: shortage_details},
)
