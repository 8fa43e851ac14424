"""Packages, their order and their photos as plain values: what the service must answer, and have, after each call.

Written from the rules as people know them (a package follows the path of its workflow) and not from the service.
Where a call breaks several rules, the service may name any of them.
"""

from dataclasses import dataclass, field

PATHS = {
    "MERCHANT_TO_WAREHOUSE": "PENDING PREPARED WAREHOUSE_RECEIVED OUT_FOR_DELIVERY DELIVERED COMPLETED",
    "MERCHANT_TO_USER": "PENDING PREPARED DELIVERED COMPLETED",
    "DRIVER_TO_WAREHOUSE": (
        "PENDING PREPARED PICKED_UP AT_WAREHOUSE WAREHOUSE_RECEIVED OUT_FOR_DELIVERY DELIVERED COMPLETED"
    ),
    "DRIVER_TO_USER": "PENDING PREPARED PICKED_UP DELIVERED COMPLETED",
}
STATES = PATHS["DRIVER_TO_WAREHOUSE"].split()
"""As old readers count them: their shipping_status is the place in this list."""

# The state that a verb leads to, and the photo that proves it.
STEPS = {
    "PREPARE": ("PREPARED", "PREPARATION"),
    "PICK_UP": ("PICKED_UP", "COLLECTION"),
    "ARRIVE": ("AT_WAREHOUSE", "ARRIVAL"),
    "RECEIVE": ("WAREHOUSE_RECEIVED", "RECEIPT"),
    "SHIP": ("OUT_FOR_DELIVERY", "SHIPPING"),
    "DELIVER": ("DELIVERED", "DELIVERY"),
    "COMPLETE": ("COMPLETED", ""),
}
DRIVER_VERBS = {"CLAIM", "RELEASE_CLAIM", "ASSIGN_DRIVER"}
VERBS = [*STEPS, *sorted(DRIVER_VERBS), "CANCEL", "RETRY_RESERVATION"]
SHELF = ("PENDING", "PREPARED")
PAID, LEFT, DONE, CALLED_OFF = 1, 2, 3, 4


@dataclass(frozen=True)
class Photo:
    """A photo by what it was uploaded for; one of no package is an id that does not exist."""

    package_sn: str
    kind: str
    content: str


@dataclass(frozen=True)
class Call:
    """A verb by somebody; `driver_id` is whom AssignDriver names. Version 0: no etag."""

    verb: str
    package_sn: str
    role: str
    actor_id: str
    photos: tuple[Photo, ...] = ()
    driver_id: str = ""
    version: int = 0


@dataclass(frozen=True)
class Event:
    """What a timeline tells."""

    verb: str
    from_state: str
    to_state: str
    role: str
    actor_id: str
    driver_id: str = ""
    photos: frozenset[Photo] = frozenset()


@dataclass
class Parcel:
    """One package of the whole of one order."""

    package_sn: str
    workflow: str
    leg: int
    order_id: str
    sku: str
    stock: str
    state: str = "PENDING"
    driver_id: str = ""
    version: int = 1
    events: list[Event] = field(default_factory=list)

    @property
    def active(self) -> bool:
        """Whether something may still happen to it."""
        return self.state not in ("COMPLETED", "CANCELLED")

    @property
    def next_state(self) -> str:
        """What follows on its path; nothing after the end."""
        path = PATHS[self.workflow].split()
        return dict(zip(path, [*path[1:], ""], strict=True)).get(self.state, "")

    @property
    def by_driver(self) -> bool:
        """Whether a driver carries it."""
        return self.workflow.startswith("DRIVER")


@dataclass
class Model:
    """Everything that there is. Shop 7 and warehouse 3 own all packages; `empty` skus have no stock."""

    parcels: dict[str, Parcel] = field(default_factory=dict)
    order_status: dict[str, int] = field(default_factory=dict)
    actions: dict[str, list[tuple[int, int, int]]] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    active_drivers: set[str] = field(default_factory=lambda: {"5", "6"})
    empty: set[str] = field(default_factory=lambda: {"EMPTY"})
    down: bool = False

    def register(self, order_id: str) -> None:
        """A paid order, of two units of one sku."""
        self.order_status[order_id], self.actions[order_id] = PAID, []

    def pack(self, parcel: Parcel, role: str, actor_id: str) -> set[str]:
        """The rules that a new package of the whole of an order breaks; where there are none, it is made."""
        broken = set()
        packed = self.of_order(parcel.order_id)
        same_leg = [other for other in packed if other.leg == parcel.leg]
        if self.order_status[parcel.order_id] not in (PAID, LEFT):
            broken.add("ORDER_NOT_SHIPPABLE")
        if parcel.leg and "WAREHOUSE_RECEIVED" not in [other.state for other in packed if other.leg == 0]:
            broken.add("ORDER_NOT_SHIPPABLE")
        if any(other.active for other in same_leg):
            broken.add("ORDER_ALREADY_PACKED")
        if any(other.state == "COMPLETED" for other in same_leg):
            broken.add("ORDER_OVERPACKED")
        if not broken:
            self.parcels[parcel.package_sn] = parcel
            parcel.events.append(Event("CREATE", "UNSPECIFIED", "PENDING", role, actor_id))
        return broken

    def apply(self, call: Call) -> set[str]:
        """The rules that the call breaks; where there are none, it is done."""
        parcel = self.parcels[call.package_sn]
        if self._repeats(parcel, call):
            return set()
        broken = self.broken(parcel, call) | self._broken_by_photos(parcel, call)
        if call.version not in (0, parcel.version):
            broken.add("ETAG_MISMATCH")
        driver_id = _driver_after(parcel, call)
        unchanged = call.verb in ("CLAIM", "ASSIGN_DRIVER") and driver_id == parcel.driver_id
        if call.verb in ("CLAIM", "ASSIGN_DRIVER") and not unchanged and driver_id not in self.active_drivers:
            broken.add("DRIVER_INACTIVE")
        if not broken and not unchanged:
            self._do(parcel, call, driver_id)
        return broken

    @property
    def waits(self) -> bool:
        """Whether inventory is about to answer something."""
        stocks = {parcel.stock for parcel in self.parcels.values()}
        return not self.down and not stocks.isdisjoint({"REQUESTED", "COMMIT_PENDING", "RELEASE_PENDING"})

    def settle(self) -> None:
        """Inventory, where it is up, has answered everything."""
        for parcel in self.parcels.values() if not self.down else ():
            held = "REJECTED" if parcel.sku in self.empty else "HELD"
            answers = {"REQUESTED": held, "COMMIT_PENDING": "COMMITTED", "RELEASE_PENDING": "RELEASED"}
            if parcel.stock in answers:
                parcel.stock = answers[parcel.stock]
                parcel.version += 1

    def allowed(self, package_sn: str, role: str, actor_id: str) -> set[str]:
        """The verbs of the table that this actor may do now, the photos aside."""
        parcel = self.parcels[package_sn]
        return {
            verb
            for verb in VERBS
            if verb != "RETRY_RESERVATION" and not self.broken(parcel, Call(verb, package_sn, role, actor_id))
        }

    def broken(self, parcel: Parcel, call: Call) -> set[str]:
        """The rules of state, role, owner, claim and stock."""
        owner = {"MERCHANT": "7", "WAREHOUSE": "3", "DRIVER": parcel.driver_id}.get(call.role, call.actor_id)
        broken = set()
        if not self._in_time(parcel, call.verb):
            broken.add("ILLEGAL_TRANSITION")
        if call.role not in roles(parcel, call.verb):
            broken.add("WRONG_ACTOR")
        if call.verb == "CLAIM":
            if parcel.driver_id not in ("", call.actor_id):
                broken.add("PACKAGE_CLAIMED")
        elif call.actor_id != owner:
            broken.add("NOT_YOUR_PACKAGE")
        if self._sends(parcel, call.verb) and parcel.stock not in ("HELD", "NOT_TRACKED"):
            broken.add("STOCK_NOT_HELD")
        return broken

    def shipping_status(self, order_id: str) -> int:
        """How far old readers see an order: its furthest active package, or that one is completed."""
        states = [parcel.state for parcel in self.of_order(order_id)]
        active = [STATES.index(state) for state in states if state not in ("COMPLETED", "CANCELLED")]
        return max(active) if active else STATES.index("COMPLETED") * ("COMPLETED" in states)

    def of_order(self, order_id: str) -> list[Parcel]:
        """Every package of the order."""
        return [parcel for parcel in self.parcels.values() if parcel.order_id == order_id]

    def _in_time(self, parcel: Parcel, verb: str) -> bool:
        if self._sends(parcel, verb) and self.order_status[parcel.order_id] == CALLED_OFF:
            return False
        match verb:
            case "CLAIM":
                return parcel.by_driver and parcel.state == "PREPARED"
            case "RELEASE_CLAIM":
                return parcel.by_driver and parcel.state == "PREPARED" and parcel.driver_id != ""
            case "ASSIGN_DRIVER":
                return parcel.by_driver and parcel.state in ("PREPARED", "PICKED_UP", "AT_WAREHOUSE")
            case "CANCEL":
                return parcel.state in SHELF
            case "RETRY_RESERVATION":
                return parcel.state in SHELF and parcel.stock == "REJECTED"
        if parcel.leg == 0 and parcel.state == "WAREHOUSE_RECEIVED":
            second = [other for other in self.of_order(parcel.order_id) if other.leg == 1]
            living = [other.state for other in second if other.state != "CANCELLED"]
            if verb == "COMPLETE":
                return living != [] and set(living) <= {"DELIVERED", "COMPLETED"}
            return verb == "SHIP" and living == []
        return parcel.next_state == STEPS[verb][0]

    def _sends(self, parcel: Parcel, verb: str) -> bool:
        """Whether it packs the goods or takes them away."""
        leaving = verb in STEPS and parcel.state == "PREPARED" and parcel.next_state == STEPS[verb][0]
        return verb == "PREPARE" or leaving

    def _broken_by_photos(self, parcel: Parcel, call: Call) -> set[str]:
        kind = STEPS.get(call.verb, ("", ""))[1]
        broken = set()
        if kind and not call.photos:
            broken.add("EVIDENCE_MISSING")
        for photo in call.photos:
            if not photo.package_sn:
                broken.add("EVIDENCE_NOT_FOUND")
            elif (photo.package_sn, photo.kind) != (parcel.package_sn, kind):
                broken.add("EVIDENCE_UNFIT")
            if photo.content in self.used:
                broken.add("EVIDENCE_ALREADY_USED")
        return broken

    def _repeats(self, parcel: Parcel, call: Call) -> bool:
        last = parcel.events[-1]
        if call.verb == "RETRY_RESERVATION" and parcel.stock not in ("REQUESTED", "HELD"):
            return False
        same = (last.verb, last.role, last.actor_id) == (call.verb, call.role, call.actor_id)
        named = call.verb != "ASSIGN_DRIVER" or last.driver_id == call.driver_id
        return same and named and last.photos == frozenset(call.photos)

    def _do(self, parcel: Parcel, call: Call, driver_id: str) -> None:
        pivot = call.verb != "PREPARE" and self._sends(parcel, call.verb)
        before = parcel.state
        if call.verb in STEPS:
            parcel.state = STEPS[call.verb][0]
        elif call.verb == "CANCEL":
            parcel.state = "CANCELLED"
        if call.verb == "RETRY_RESERVATION":
            parcel.stock = "REQUESTED"
        elif parcel.stock != "NOT_TRACKED" and (pivot or call.verb == "CANCEL"):
            parcel.stock = "COMMIT_PENDING" if pivot else "RELEASE_PENDING"
        parcel.driver_id = driver_id
        parcel.version += 1
        photos = frozenset(call.photos)
        self.used |= {photo.content for photo in photos}
        parcel.events.append(
            Event(call.verb, before, parcel.state, call.role, call.actor_id, driver_id, photos)
        )
        self._tell_old_readers(parcel, call.verb, pivot)

    def _tell_old_readers(self, parcel: Parcel, verb: str, pivot: bool) -> None:
        order_id = parcel.order_id
        living = [other.state for other in self.of_order(order_id) if other.state != "CANCELLED"]
        if self.order_status[order_id] in (PAID, LEFT):
            if living and set(living) == {"COMPLETED"}:
                self.order_status[order_id] = DONE
            elif pivot:
                self.order_status[order_id] = LEFT
        kinds = ["PREPARE", "PICK_UP", "ARRIVE", "RECEIVE", "SHIP", "DELIVER"]
        if verb in kinds:
            told = (kinds.index(verb), self.order_status[order_id], self.shipping_status(order_id))
            self.actions[order_id].append(told)


def roles(parcel: Parcel, verb: str) -> set[str]:
    """Who may do it at all."""
    match verb:
        case "PREPARE":
            return {"WAREHOUSE"} if parcel.leg else {"MERCHANT"}
        case "CLAIM" | "PICK_UP" | "ARRIVE":
            return {"DRIVER"}
        case "RELEASE_CLAIM":
            return {"DRIVER", "DISPATCHER"}
        case "ASSIGN_DRIVER":
            return {"DISPATCHER"}
        case "RECEIVE" | "SHIP":
            return {"WAREHOUSE"}
        case "DELIVER":
            carriers = {"MERCHANT_TO_USER": "MERCHANT", "DRIVER_TO_USER": "DRIVER"}
            return {carriers.get(parcel.workflow, "WAREHOUSE")}
        case "CANCEL":
            return {"MERCHANT", "DISPATCHER"}
    return {"MERCHANT", "DISPATCHER", "SYSTEM"}


def _driver_after(parcel: Parcel, call: Call) -> str:
    named = {"CLAIM": call.actor_id, "ASSIGN_DRIVER": call.driver_id, "RELEASE_CLAIM": ""}
    return named.get(call.verb, parcel.driver_id)
