"""The words of delivery. How they are stored is known to persistence alone, how they travel to rpc alone."""

from enum import StrEnum


class Workflow(StrEnum):
    """The way a package travels."""

    MERCHANT_TO_WAREHOUSE = "MERCHANT_TO_WAREHOUSE"
    MERCHANT_TO_USER = "MERCHANT_TO_USER"
    DRIVER_TO_WAREHOUSE = "DRIVER_TO_WAREHOUSE"
    DRIVER_TO_USER = "DRIVER_TO_USER"

    @property
    def by_driver(self) -> bool:
        """Whether a third-party driver carries it."""
        return self in (Workflow.DRIVER_TO_WAREHOUSE, Workflow.DRIVER_TO_USER)

    @property
    def through_warehouse(self) -> bool:
        """Whether it goes to a warehouse first."""
        return self in (Workflow.MERCHANT_TO_WAREHOUSE, Workflow.DRIVER_TO_WAREHOUSE)


class PackageState(StrEnum):
    """Where a package is, in the order of the way."""

    PENDING = "PENDING"
    PREPARED = "PREPARED"
    PICKED_UP = "PICKED_UP"
    AT_WAREHOUSE = "AT_WAREHOUSE"
    WAREHOUSE_RECEIVED = "WAREHOUSE_RECEIVED"
    OUT_FOR_DELIVERY = "OUT_FOR_DELIVERY"
    DELIVERED = "DELIVERED"
    COMPLETED = "COMPLETED"
    CANCELLED = "CANCELLED"

    @property
    def active(self) -> bool:
        """Whether something may still happen to the package."""
        return self not in (PackageState.COMPLETED, PackageState.CANCELLED)

    @property
    def on_shelf(self) -> bool:
        """Whether its goods are still where they were sold from."""
        return self in (PackageState.PENDING, PackageState.PREPARED)

    @property
    def off_shelf(self) -> bool:
        """Whether its goods have left the shelf for good."""
        return not self.on_shelf and self is not PackageState.CANCELLED


class StockState(StrEnum):
    """What inventory holds for a package."""

    REQUESTED = "REQUESTED"
    HELD = "HELD"
    REJECTED = "REJECTED"
    COMMIT_PENDING = "COMMIT_PENDING"
    COMMITTED = "COMMITTED"
    RELEASE_PENDING = "RELEASE_PENDING"
    RELEASED = "RELEASED"
    NOT_TRACKED = "NOT_TRACKED"


class Verb(StrEnum):
    """What can be done to a package; all but the first two and the last two are in the table of transitions."""

    CREATE = "CREATE"
    RETRY_RESERVATION = "RETRY_RESERVATION"
    PREPARE = "PREPARE"
    CLAIM = "CLAIM"
    RELEASE_CLAIM = "RELEASE_CLAIM"
    ASSIGN_DRIVER = "ASSIGN_DRIVER"
    PICK_UP = "PICK_UP"
    ARRIVE = "ARRIVE"
    RECEIVE = "RECEIVE"
    SHIP = "SHIP"
    DELIVER = "DELIVER"
    COMPLETE = "COMPLETE"
    CANCEL = "CANCEL"
    RECONCILE = "RECONCILE"
    ADOPT = "ADOPT"


class ActorRole(StrEnum):
    """As whom a caller acts."""

    MERCHANT = "MERCHANT"
    DRIVER = "DRIVER"
    WAREHOUSE = "WAREHOUSE"
    DISPATCHER = "DISPATCHER"
    SYSTEM = "SYSTEM"


class EvidenceKind(StrEnum):
    """What a photo proves."""

    PREPARATION = "PREPARATION"
    COLLECTION = "COLLECTION"
    ARRIVAL = "ARRIVAL"
    RECEIPT = "RECEIPT"
    SHIPPING = "SHIPPING"
    DELIVERY = "DELIVERY"


class StockEffect(StrEnum):
    """What a verb means for the stock that is held for the package."""

    NONE = "NONE"
    NEEDS_HOLD = "NEEDS_HOLD"
    COMMIT = "COMMIT"
    RELEASE = "RELEASE"


class OrderStatus(StrEnum):
    """Where an order stands."""

    PENDING_PAYMENT = "PENDING_PAYMENT"
    PENDING_SHIPMENT = "PENDING_SHIPMENT"
    PENDING_RECEIPT = "PENDING_RECEIPT"
    COMPLETED = "COMPLETED"
    CANCELLED = "CANCELLED"
    AFTER_SALES = "AFTER_SALES"

    @property
    def shippable(self) -> bool:
        """Whether goods of the order may still be packed."""
        return self in (OrderStatus.PENDING_SHIPMENT, OrderStatus.PENDING_RECEIPT)
