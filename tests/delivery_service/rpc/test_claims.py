"""Drivers: who has a package, and who has not, also when many ask at once."""

import asyncio

import grpc
from holdfast.delivery.v1 import package_pb2 as pb

from devtools.journey import PREPARE
from tests.delivery_service.client import (
    DISPATCHER,
    DRIVER,
    Delivery,
    actor,
)

FAILED, DENIED = grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.PERMISSION_DENIED


async def prepared(delivery: Delivery, workflow: str = "DRIVER_TO_USER") -> str:
    """A prepared package; answers its package_sn."""
    package = await delivery.create(workflow)
    return (await delivery.take(package.package_sn, PREPARE)).package_sn


async def test_a_verb_that_needs_no_photo_takes_none(delivery: Delivery) -> None:
    package_sn = await prepared(delivery)
    photo = await delivery.upload(package_sn, "COLLECTION", by=DISPATCHER)

    refusal = await delivery.refused(
        delivery.move("ClaimPackage", package_sn, by=DRIVER, evidence_ids=[photo.evidence_id])
    )

    assert refusal.reason == "EVIDENCE_UNFIT"


async def test_of_a_hundred_drivers_at_once_one_has_the_package(delivery: Delivery) -> None:
    package_sn = await prepared(delivery)
    for driver_id in range(100, 200):
        await delivery.driver(driver_id)

    async def claim(driver_id: int) -> str:
        try:
            await delivery.move("ClaimPackage", package_sn, by=actor("driver", driver_id))
        except grpc.aio.AioRpcError as error:
            assert error.code() is FAILED
            assert "was claimed by another driver" in (error.details() or "")
            return ""
        return str(driver_id)

    outcomes = await asyncio.gather(*map(claim, range(100, 200)))

    (winner,) = [outcome for outcome in outcomes if outcome]
    assert (await delivery.get(package_sn)).driver_id == winner
    assert (await delivery.events(package_sn)).count("CLAIM") == 1


async def test_claim_release_and_assign_at_once_leave_a_timeline_that_explains_the_driver(
    delivery: Delivery,
) -> None:
    package_sn = await prepared(delivery)
    await delivery.driver(6)
    for _ in range(5):
        await asyncio.gather(
            delivery.move("ClaimPackage", package_sn, by=DRIVER),
            delivery.move("ClaimPackage", package_sn, by=actor("driver", 6)),
            delivery.move("ReleaseClaim", package_sn, by=DISPATCHER),
            delivery.move("AssignDriver", package_sn, by=DISPATCHER, driver_id="6"),
            return_exceptions=True,
        )

    reply = await delivery.stub.ListPackageEvents(
        pb.ListPackageEventsRequest(package_sn=package_sn), timeout=10
    )
    assert [event.sequence for event in reply.events] == list(range(1, len(reply.events) + 1))
    driver_id = ""
    for event in reply.events:
        if event.verb == pb.VERB_CLAIM:
            assert driver_id == ""
        driver_id = event.driver_id
    assert (await delivery.get(package_sn)).driver_id == driver_id


async def test_inactive_and_unknown_drivers_get_no_package(delivery: Delivery) -> None:
    package_sn = await prepared(delivery)
    await delivery.driver(9, active=False)

    inactive = await delivery.refused(delivery.move("ClaimPackage", package_sn, by=actor("driver", 9)))
    unknown = await delivery.refused(delivery.move("ClaimPackage", package_sn, by=actor("driver", 404)))
    assigned = await delivery.refused(delivery.move("AssignDriver", package_sn, by=DISPATCHER, driver_id="9"))

    assert (inactive.code, inactive.reason) == (FAILED, "DRIVER_INACTIVE")
    assert (unknown.code, unknown.reason) == (grpc.StatusCode.NOT_FOUND, "DRIVER_NOT_FOUND")
    assert assigned.reason == "DRIVER_INACTIVE"


async def test_the_replaced_driver_is_out_and_the_new_one_goes_on(delivery: Delivery) -> None:
    package = await delivery.drive(await delivery.create("DRIVER_TO_WAREHOUSE"), until="PickUpPackage")
    await delivery.driver(6)
    await delivery.move("AssignDriver", package.package_sn, by=DISPATCHER, driver_id="6")
    photo = await delivery.upload(package.package_sn, "ARRIVAL", by=actor("driver", 6))
    arrive = {"evidence_ids": [photo.evidence_id]}
    await delivery.quiet()

    refusal = await delivery.refused(
        delivery.move("ArriveAtWarehouse", package.package_sn, by=DRIVER, **arrive)
    )

    assert refusal.reason == "NOT_YOUR_PACKAGE"
    await delivery.move("ArriveAtWarehouse", package.package_sn, by=actor("driver", 6), **arrive)
