"""The table: what delivery refuses → gRPC code. Reasons and facts come from the classes themselves."""

from grpc import StatusCode

from delivery_service.domain import errors
from servicekit.rpc.error_status import ErrorStatuses

STATUSES = ErrorStatuses(
    "delivery.holdfast",
    {
        errors.PackageNotFound: StatusCode.NOT_FOUND,
        errors.OrderNotFound: StatusCode.NOT_FOUND,
        errors.EvidenceNotFound: StatusCode.NOT_FOUND,
        errors.DriverNotFound: StatusCode.NOT_FOUND,
        errors.WarehouseNotFound: StatusCode.NOT_FOUND,
        errors.PackageExists: StatusCode.ALREADY_EXISTS,
        errors.OrderExists: StatusCode.ALREADY_EXISTS,
        errors.DriverExists: StatusCode.ALREADY_EXISTS,
        errors.WarehouseExists: StatusCode.ALREADY_EXISTS,
        errors.IllegalTransition: StatusCode.FAILED_PRECONDITION,
        errors.EvidenceMissing: StatusCode.FAILED_PRECONDITION,
        errors.EvidenceAlreadyUsed: StatusCode.FAILED_PRECONDITION,
        errors.EvidenceUnfit: StatusCode.FAILED_PRECONDITION,
        errors.StockNotHeld: StatusCode.FAILED_PRECONDITION,
        errors.PackageClaimed: StatusCode.FAILED_PRECONDITION,
        errors.DriverInactive: StatusCode.FAILED_PRECONDITION,
        errors.OrderAlreadyPacked: StatusCode.FAILED_PRECONDITION,
        errors.OrderOverpacked: StatusCode.FAILED_PRECONDITION,
        errors.OrderNotShippable: StatusCode.FAILED_PRECONDITION,
        errors.PackageUnreadable: StatusCode.FAILED_PRECONDITION,
        errors.OrderUnreadable: StatusCode.FAILED_PRECONDITION,
        errors.PackageTooLarge: StatusCode.INVALID_ARGUMENT,
        errors.PhotoUnreadable: StatusCode.INVALID_ARGUMENT,
        errors.WrongActor: StatusCode.PERMISSION_DENIED,
        errors.NotYourPackage: StatusCode.PERMISSION_DENIED,
        errors.CallerNotAllowed: StatusCode.PERMISSION_DENIED,
        errors.EtagMismatch: StatusCode.ABORTED,
        errors.StorageFull: StatusCode.RESOURCE_EXHAUSTED,
        errors.StorageUnavailable: StatusCode.UNAVAILABLE,
        errors.TooManyStreams: StatusCode.RESOURCE_EXHAUSTED,
        errors.EvidenceDamaged: StatusCode.DATA_LOSS,
    },
)
