"""What delivery refuses. A class's name is its name on the wire; its fields are the facts; str() is for people."""

from collections.abc import Iterable
from dataclasses import dataclass


class Refusal(Exception):
    """A request that the rules of delivery do not allow; nothing was changed. `also` are further reasons why."""

    also: tuple["Refusal", ...] = ()


@dataclass(eq=False)
class PackageNotFound(Refusal):
    """There is no such package."""

    package_sn: str

    def __str__(self) -> str:
        return f"there is no package {self.package_sn}"


@dataclass(eq=False)
class OrderNotFound(Refusal):
    """There is no such order."""

    order_id: int

    def __str__(self) -> str:
        return f"there is no order {self.order_id}"


class Unreadable(Refusal):
    """A row with a code that nobody knows: nothing can be decided by it until somebody corrects it."""


@dataclass(eq=False)
class PackageUnreadable(Unreadable):
    """The package's row bears a code that nobody knows."""

    package_sn: str
    column: str
    value: str

    def __str__(self) -> str:
        return (
            f"package {self.package_sn} cannot be read: its {self.column} is {self.value}, which nobody knows"
        )


@dataclass(eq=False)
class OrderUnreadable(Unreadable):
    """The order's row bears a code that nobody knows."""

    order_id: int
    column: str
    value: str

    def __str__(self) -> str:
        return f"order {self.order_id} cannot be read: its {self.column} is {self.value}, which nobody knows"


@dataclass(eq=False)
class EvidenceNotFound(Refusal):
    """There is no such evidence."""

    evidence_id: str

    def __str__(self) -> str:
        return f"there is no evidence {self.evidence_id}"


@dataclass(eq=False)
class DriverNotFound(Refusal):
    """There is no such driver."""

    driver_id: int

    def __str__(self) -> str:
        return f"there is no driver {self.driver_id}"


@dataclass(eq=False)
class WarehouseNotFound(Refusal):
    """There is no such warehouse."""

    warehouse_id: int

    def __str__(self) -> str:
        return f"there is no warehouse {self.warehouse_id}"


@dataclass(eq=False)
class PackageExists(Refusal):
    """The package_sn is taken by a package with other content."""

    package_sn: str

    def __str__(self) -> str:
        return f"package {self.package_sn} exists with other content"


@dataclass(eq=False)
class OrderExists(Refusal):
    """The order was registered with other content."""

    order_id: int

    def __str__(self) -> str:
        return f"order {self.order_id}, or one of its numbers, was registered with other content"


@dataclass(eq=False)
class DriverExists(Refusal):
    """The driver's id or phone was registered with other content."""

    driver_id: int | None
    phone: str

    def __str__(self) -> str:
        return f"a driver with this id or the phone {self.phone} was registered with other content"


@dataclass(eq=False)
class WarehouseExists(Refusal):
    """The warehouse's id or code was registered with other content."""

    warehouse_id: int | None
    code: str

    def __str__(self) -> str:
        return f"a warehouse with this id or the code {self.code} was registered with other content"


@dataclass(eq=False)
class IllegalTransition(Refusal):
    """The table does not list this verb for the package as it is."""

    package_sn: str
    verb: str
    state: str
    workflow: str
    allowed: tuple[str, ...]
    why: str

    def __str__(self) -> str:
        allowed = ", ".join(self.allowed) or "nothing"
        return f"{self.verb} is refused: {self.why}; allowed now: {allowed}"


@dataclass(eq=False)
class WrongActor(Refusal):
    """The verb is for another role."""

    verb: str
    role: str
    allowed: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.verb} is for {' or '.join(self.allowed)}, not for {self.role}"


@dataclass(eq=False)
class NotYourPackage(Refusal):
    """The role is right, but the package is another actor's."""

    package_sn: str
    role: str
    actor_id: str

    def __str__(self) -> str:
        package = f"package {self.package_sn}" if self.package_sn else "the new package"
        return f"{package} is not one of {self.role} {self.actor_id}"


@dataclass(eq=False)
class EvidenceMissing(Refusal):
    """The verb needs a photo and none was named."""

    package_sn: str
    verb: str
    kind: str

    def __str__(self) -> str:
        return f"{self.verb} needs a photo of kind {self.kind}"


@dataclass(eq=False)
class EvidenceUnfit(Refusal):
    """Named photos that are of another package or kind than the verb needs."""

    evidence_ids: tuple[str, ...]
    package_sn: str
    verb: str
    kind: str | None
    whys: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.verb} cannot be proved by {', '.join(self.evidence_ids)}: {'; '.join(self.whys)}"

    def violations(self) -> Iterable[tuple[str, str]]:
        """One for each unfit photo."""
        return zip(self.evidence_ids, self.whys, strict=True)


@dataclass(eq=False)
class EvidenceAlreadyUsed(Refusal):
    """Named photos that prove another transition already."""

    evidence_ids: tuple[str, ...]

    def __str__(self) -> str:
        return f"a photo proves one transition only; used already: {', '.join(self.evidence_ids)}"

    def violations(self) -> Iterable[tuple[str, str]]:
        """One for each used photo."""
        return [(evidence_id, "proves another transition already") for evidence_id in self.evidence_ids]


@dataclass(eq=False)
class StockNotHeld(Refusal):
    """The verb needs the package's stock to be held."""

    package_sn: str
    verb: str
    stock_state: str

    def __str__(self) -> str:
        return f"{self.verb} needs the stock to be HELD; it is {self.stock_state}"


@dataclass(eq=False)
class PackageClaimed(Refusal):
    """Another driver was first; who it is, is not told."""

    package_sn: str

    def __str__(self) -> str:
        return f"package {self.package_sn} was claimed by another driver"


@dataclass(eq=False)
class DriverInactive(Refusal):
    """An inactive driver takes no packages."""

    driver_id: int

    def __str__(self) -> str:
        return f"driver {self.driver_id} is not active"


@dataclass(eq=False)
class OrderAlreadyPacked(Refusal):
    """Orders that are in another active package of the same leg."""

    order_ids: tuple[int, ...]
    leg: int

    def __str__(self) -> str:
        return f"in an active package of leg {self.leg} already: order {', '.join(map(str, self.order_ids))}"

    def violations(self) -> Iterable[tuple[str, str]]:
        """One for each order."""
        return [(str(order_id), f"is in an active package of leg {self.leg}") for order_id in self.order_ids]


@dataclass(eq=False)
class OrderOverpacked(Refusal):
    """Items of which more would be packed than there are."""

    subjects: tuple[str, ...]
    whys: tuple[str, ...]

    def __str__(self) -> str:
        return "; ".join(self.whys)

    def violations(self) -> Iterable[tuple[str, str]]:
        """One for each item."""
        return zip(self.subjects, self.whys, strict=True)


@dataclass(eq=False)
class PackageTooLarge(Refusal):
    """More different skus than one reservation may name."""

    skus: int
    most: int

    def __str__(self) -> str:
        return f"a package holds at most {self.most} different skus, this one would hold {self.skus}"


@dataclass(eq=False)
class OrderNotShippable(Refusal):
    """Orders of which nothing may be packed this way."""

    order_ids: tuple[int, ...]
    whys: tuple[str, ...]

    def __str__(self) -> str:
        return "; ".join(
            f"order {order}: {why}" for order, why in zip(self.order_ids, self.whys, strict=True)
        )

    def violations(self) -> Iterable[tuple[str, str]]:
        """One for each order."""
        return zip(map(str, self.order_ids), self.whys, strict=True)


@dataclass(eq=False)
class EtagMismatch(Refusal):
    """The package changed since the caller read it."""

    package_sn: str

    def __str__(self) -> str:
        return f"package {self.package_sn} has changed since; read it again"


@dataclass(eq=False)
class PhotoUnreadable(Refusal):
    """The bytes are no picture that the service keeps."""

    why: str

    def __str__(self) -> str:
        return self.why


@dataclass(eq=False)
class EvidenceDamaged(Refusal):
    """The stored bytes are not those that were uploaded."""

    evidence_id: str
    sha256: str

    def __str__(self) -> str:
        return f"the stored bytes of evidence {self.evidence_id} are missing or damaged"


class StorageFull(Refusal):
    """There is no room for another photo."""

    retry_after_seconds = 60.0

    def __str__(self) -> str:
        return "there is no room for another photo; nothing was kept"


class StorageUnavailable(Refusal):
    """The store of photos cannot be reached, or fails."""

    retry_after_seconds = 1.0

    def __str__(self) -> str:
        return "the store of photos cannot be used now; nothing was changed"


@dataclass(eq=False)
class CallerNotAllowed(Refusal):
    """Only operators may do this."""

    caller: str
    allowed: tuple[str, ...]

    def __str__(self) -> str:
        return f"this is for the roles {' and '.join(self.allowed)}, not for {self.caller}"


class TooManyStreams(Refusal):
    """As many photos are on their way as the service has room for in memory."""

    retry_after_seconds = 1.0

    def __str__(self) -> str:
        return "too many photos are on their way at once; nothing was done"
