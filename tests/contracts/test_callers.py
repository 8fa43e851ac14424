"""The files of callers that are shipped: no method is without a rule, and no rule without a method."""

from importlib import resources

import pytest

from delivery_service.domain.reservation import reservation_id
from delivery_service.rpc import caller as delivery
from inventory_service.rpc import caller as inventory
from servicekit.access.callers import Callers, read_callers
from servicekit.operations import channelz
from tests.contracts.stubs import SERVICES

OPERATORS = {"inventory": set(inventory.OPERATORS), "delivery": set(delivery.OPERATORS)}
SERVED = {
    name: (SERVICES[name].full_name, SERVICES["ops"].full_name, channelz.SERVICE_NAME)
    for name in ("inventory", "delivery")
}


def shipped(service: str) -> Callers:
    file = resources.files(f"{service}_service") / "callers.toml"
    return read_callers(file, SERVED[service], own_ids=service == "inventory")


@pytest.mark.parametrize("service", SERVED)
def test_every_method_has_a_caller(service: str) -> None:
    named = {method for rights in shipped(service).values() for method in rights.methods}

    methods = {
        f"/{contract.full_name}/{method.name}"
        for contract in (SERVICES[service], SERVICES["ops"])
        for method in contract.methods
    }
    assert methods - named == set()


@pytest.mark.parametrize("service", SERVED)
def test_only_operators_call_what_is_for_operators(service: str) -> None:
    of_operators = tuple(f"/{name}/" for name in SERVED[service][1:])

    others = {name: rights for name, rights in shipped(service).items() if name != "operator"}
    assert not [m for rights in others.values() for m in rights.methods if m.startswith(of_operators)]
    assert {name for name, rights in others.items() if rights.roles & OPERATORS[service]} == set()


def test_ids_of_the_reservations_of_packages_are_deliverys_own() -> None:
    own_ids = shipped("inventory")["delivery"].own_ids

    assert own_ids is not None
    for package_sn in ("PG4711", "P" * 64):
        assert own_ids.fullmatch(reservation_id(package_sn, 12))
    assert not own_ids.fullmatch("cart-4711")


def test_delivery_may_do_in_inventory_what_its_gateway_does() -> None:
    allowed = {name.rpartition("/")[2] for name in shipped("inventory")["delivery"].methods}

    assert allowed == {
        "ReserveStock",
        "CommitReservation",
        "ReleaseReservation",
        "GetReservation",
        "ListReservations",
    }
