"""Packages go their whole way, over gRPC, on real databases."""

import pytest
from holdfast.delivery.v1 import package_pb2 as pb

from tests.delivery_service.client import Delivery

WAYS = {
    "MERCHANT_TO_WAREHOUSE": ["CREATE", "PREPARE", "RECEIVE", "SHIP", "DELIVER", "COMPLETE"],
    "MERCHANT_TO_USER": ["CREATE", "PREPARE", "DELIVER", "COMPLETE"],
    "DRIVER_TO_WAREHOUSE": [
        *("CREATE", "PREPARE", "CLAIM", "PICK_UP", "ARRIVE"),
        *("RECEIVE", "SHIP", "DELIVER", "COMPLETE"),
    ],
    "DRIVER_TO_USER": ["CREATE", "PREPARE", "CLAIM", "PICK_UP", "DELIVER", "COMPLETE"],
}


@pytest.mark.parametrize("workflow", WAYS)
async def test_a_package_goes_its_way_and_its_stock_leaves_the_shelf_once(
    delivery: Delivery, workflow: str
) -> None:
    package = await delivery.create(workflow)
    assert package.stock_state == pb.STOCK_STATE_HELD
    assert delivery.inventory.held("A") == 2

    package = await delivery.drive(package)

    assert package.state == pb.PACKAGE_STATE_COMPLETED
    assert await delivery.events(package.package_sn) == WAYS[workflow]
    await delivery.stock_state(package.package_sn, "COMMITTED")
    assert (delivery.inventory.stock["A"], delivery.inventory.held("A")) == (98, 0)
    assert await delivery.findings() == []
