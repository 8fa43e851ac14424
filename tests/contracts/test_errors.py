"""The names of refusals: promised to callers, borne by classes, told by the contracts' comments."""

import dataclasses
import re
from types import ModuleType

import pytest
from grpc import StatusCode

from delivery_service.domain import errors as delivery_errors
from delivery_service.rpc.servicer import DeliveryServicer
from delivery_service.rpc.statuses import STATUSES as DELIVERY_STATUSES
from inventory_service.domain import errors as inventory_errors
from inventory_service.rpc.servicer import InventoryServicer
from inventory_service.rpc.statuses import STATUSES as INVENTORY_STATUSES
from servicekit import errors as kit_errors
from servicekit.operations.ops import OpsServicer
from servicekit.rpc.error_status import ErrorStatuses
from tests.contracts.stubs import PROTOS, methods

BOTH = ("inventory", "delivery")
INVENTORY, DELIVERY = ("inventory",), ("delivery",)
PROMISED: dict[StatusCode, dict[str, tuple[str, ...]]] = {
    StatusCode.INVALID_ARGUMENT: {
        "FIELD_INVALID": BOTH,
        "REQUEST_ID_REUSED": BOTH,
        "PAGE_TOKEN_MISMATCH": BOTH,
        "PACKAGE_TOO_LARGE": DELIVERY,
        "PHOTO_UNREADABLE": DELIVERY,
    },
    StatusCode.NOT_FOUND: {
        "STOCK_NOT_FOUND": INVENTORY,
        "RESERVATION_NOT_FOUND": INVENTORY,
        "LISTING_NOT_FOUND": INVENTORY,
        "PACKAGE_NOT_FOUND": DELIVERY,
        "ORDER_NOT_FOUND": DELIVERY,
        "EVIDENCE_NOT_FOUND": DELIVERY,
        "DRIVER_NOT_FOUND": DELIVERY,
        "WAREHOUSE_NOT_FOUND": DELIVERY,
        "OUTBOX_ENTRY_NOT_FOUND": BOTH,
    },
    StatusCode.ALREADY_EXISTS: {
        "STOCK_EXISTS": INVENTORY,
        "RESERVATION_EXISTS": INVENTORY,
        "LISTING_EXISTS": INVENTORY,
        "PACKAGE_EXISTS": DELIVERY,
        "ORDER_EXISTS": DELIVERY,
        "DRIVER_EXISTS": DELIVERY,
        "WAREHOUSE_EXISTS": DELIVERY,
    },
    StatusCode.FAILED_PRECONDITION: {
        "INSUFFICIENT_STOCK": INVENTORY,
        "RESERVATION_EXPIRED": INVENTORY,
        "RESERVATION_ALREADY_RESOLVED": INVENTORY,
        "RESERVATION_TOMBSTONED": INVENTORY,
        "STOCK_NOT_SELLABLE": INVENTORY,
        "ILLEGAL_STATUS_CHANGE": INVENTORY,
        "STOCK_HAS_HOLDS": INVENTORY,
        "STOCK_LIMIT_EXCEEDED": INVENTORY,
        "STOCK_INCONSISTENT": INVENTORY,
        "LISTING_LIMIT_EXCEEDED": INVENTORY,
        "LISTING_PRICE_INCOMPLETE": INVENTORY,
        "QUANTITY_MISMATCH": INVENTORY,
        "ILLEGAL_TRANSITION": DELIVERY,
        "EVIDENCE_MISSING": DELIVERY,
        "EVIDENCE_ALREADY_USED": DELIVERY,
        "EVIDENCE_UNFIT": DELIVERY,
        "STOCK_NOT_HELD": DELIVERY,
        "PACKAGE_CLAIMED": DELIVERY,
        "DRIVER_INACTIVE": DELIVERY,
        "ORDER_ALREADY_PACKED": DELIVERY,
        "ORDER_OVERPACKED": DELIVERY,
        "ORDER_NOT_SHIPPABLE": DELIVERY,
        "PACKAGE_UNREADABLE": DELIVERY,
        "ORDER_UNREADABLE": DELIVERY,
    },
    StatusCode.PERMISSION_DENIED: {
        "CALLER_NOT_ALLOWED": BOTH,
        "METHOD_NOT_ALLOWED": BOTH,
        "ACTOR_NOT_ALLOWED": BOTH,
        "WRONG_ACTOR": DELIVERY,
        "NOT_YOUR_PACKAGE": DELIVERY,
    },
    StatusCode.UNAUTHENTICATED: {
        "ACTOR_MISSING": BOTH,
        "ACTOR_UNKNOWN": BOTH,
        "CALLER_UNKNOWN": BOTH,
        "CERTIFICATE_EXPIRED": BOTH,
    },
    StatusCode.DEADLINE_EXCEEDED: {"DEADLINE_TOO_SHORT": BOTH, "DEADLINE_EXCEEDED": BOTH},
    StatusCode.ABORTED: {"ETAG_MISMATCH": BOTH, "CONCURRENT_UPDATE": BOTH},
    StatusCode.RESOURCE_EXHAUSTED: {
        "OVERLOADED": BOTH,
        "TOO_MANY_CALLS": BOTH,
        "TOO_MANY_STREAMS": DELIVERY,
        "STORAGE_FULL": DELIVERY,
    },
    StatusCode.UNAVAILABLE: {
        "DATABASE_UNAVAILABLE": BOTH,
        "DRAINING": BOTH,
        "STORAGE_UNAVAILABLE": DELIVERY,
    },
    StatusCode.DATA_LOSS: {"EVIDENCE_DAMAGED": DELIVERY},
}
# What refuses these is the whole service, whatever it is asked.
OF_NO_THING = {"STORAGE_FULL", "STORAGE_UNAVAILABLE", "TOO_MANY_STREAMS"}
STATUSES: dict[str, ErrorStatuses] = {"inventory": INVENTORY_STATUSES, "delivery": DELIVERY_STATUSES}
OWN = {"inventory": inventory_errors, "delivery": delivery_errors}
SERVICERS = {"inventory": InventoryServicer, "delivery": DeliveryServicer, "ops": OpsServicer}


def classes(module: ModuleType) -> dict[str, type[Exception]]:
    """The module's own errors, by their names on the wire."""
    found = [
        thing for thing in vars(module).values() if isinstance(thing, type) and issubclass(thing, Exception)
    ]
    return {re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", cls.__name__).upper(): cls for cls in found}


def refusals(service: str) -> dict[str, type[Exception]]:
    """What the service refuses, or the kit for it, without the words for several of these."""
    return {reason: kind for reason, kind in known(service).items() if not kind.__subclasses__()}


def known(service: str) -> dict[str, type[Exception]]:
    return classes(kit_errors) | classes(OWN[service])


def bare(kind: type[Exception]) -> Exception:
    """An instance without content: the code depends on the class alone."""
    return kind.__new__(kind)


@pytest.mark.parametrize(
    ("reason", "code", "service"),
    [
        (reason, code, service)
        for code, reasons in PROMISED.items()
        for reason, services in reasons.items()
        for service in services
    ],
)
def test_every_reason_promised_is_a_class_with_its_code(reason: str, code: StatusCode, service: str) -> None:
    assert STATUSES[service].code(bare(known(service)[reason])) is code


@pytest.mark.parametrize("service", BOTH)
def test_a_service_and_the_kit_do_not_share_a_name(service: str) -> None:
    assert set(classes(kit_errors)) & set(classes(OWN[service])) == set()


@pytest.mark.parametrize("service", BOTH)
def test_every_refusal_has_a_sentence_and_facts_unless_it_is_of_no_thing(service: str) -> None:
    for reason, kind in refusals(service).items() - classes(kit_errors).items():
        assert kind.__str__ is not Exception.__str__, reason
        assert dataclasses.is_dataclass(kind) or reason in OF_NO_THING, reason
        assert kind.__doc__, reason


@pytest.mark.parametrize("service", BOTH)
def test_every_refusal_has_a_code_and_is_promised(service: str) -> None:
    told = {reason: STATUSES[service].code(bare(kind)) for reason, kind in refusals(service).items()}

    promised = {
        reason: code
        for code, reasons in PROMISED.items()
        for reason, services in reasons.items()
        if service in services
    }
    assert told == promised


def reasons_told(package: str, method: str) -> set[str]:
    """The reasons that a method's comment names after the word "Errors"."""
    (contract,) = (PROTOS / "holdfast" / package / "v1").glob(f"{package}.proto")
    above = contract.read_text().split(f"rpc {method}(")[0]
    comment: list[str] = []
    for line in reversed(above.rstrip().splitlines()):
        if not line.strip().startswith("//"):
            break
        comment.insert(0, line.strip().removeprefix("//").strip())
    errors = " ".join(comment).partition("Errors:")[2]
    return set(re.findall(r"\b[A-Z]{2,}(?:_[A-Z]{2,})+\b", errors))


@pytest.mark.parametrize(
    ("package", "method"), [(package, method.name) for package, method in methods()], ids=lambda word: word
)
def test_every_error_that_a_comment_names_exists(package: str, method: str) -> None:
    servicer = SERVICERS[package]
    if all(method not in vars(cls) for cls in servicer.__mro__ if not cls.__module__.startswith("holdfast.")):
        # Nobody can be refused by a method that has no body yet.
        return
    classes_known = known(package) if package in OWN else known("inventory") | known("delivery")

    unknown = reasons_told(package, method) - set(classes_known) - {code.name for code in StatusCode}
    assert unknown == set()


def test_comments_are_read() -> None:
    assert reasons_told("inventory", "GetStock") == {"STOCK_NOT_FOUND"}
    assert "ILLEGAL_TRANSITION" in reasons_told("delivery", "ShipPackage")
