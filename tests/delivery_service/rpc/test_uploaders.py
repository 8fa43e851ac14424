"""Who may upload a photo for a package, and whose step it proves."""

import grpc
import pytest
from holdfast.delivery.v1 import package_pb2 as pb

from tests.delivery_service.client import (
    DISPATCHER,
    DRIVER,
    MERCHANT,
    SYSTEM,
    WAREHOUSE,
    Delivery,
    Metadata,
    actor,
)
from tests.delivery_service.conftest import Running
from tests.delivery_service.rpc.test_evidence import picture
from tests.delivery_service.rpc.test_kept_evidence import files


@pytest.mark.parametrize("by", [actor("merchant", 8), actor("driver", 999), DRIVER, actor("warehouse", 9)])
async def test_nobody_uploads_for_a_package_that_is_not_theirs(
    delivery: Delivery, running: Running, by: Metadata
) -> None:
    package = await delivery.create("DRIVER_TO_WAREHOUSE")
    content = picture()
    await delivery.upload(package.package_sn, "PREPARATION", content)
    await delivery.drive(package, until="PreparePackage")
    await delivery.quiet()
    before = files(running.photos)

    for kind in ("PREPARATION", "COLLECTION"):
        refusal = await delivery.refused(delivery.upload(package.package_sn, kind, content, by=by))

        assert (refusal.code, refusal.reason) == (grpc.StatusCode.PERMISSION_DENIED, "NOT_YOUR_PACKAGE")
    assert files(running.photos) == before


async def test_everybody_whose_package_it_is_uploads_for_it(delivery: Delivery) -> None:
    package = await delivery.create("DRIVER_TO_WAREHOUSE")
    await delivery.drive(package, until="ClaimPackage")

    for by in (MERCHANT, WAREHOUSE, DRIVER, DISPATCHER, SYSTEM):
        photo = await delivery.upload(package.package_sn, "COLLECTION", by=by)

        assert photo.uploader == ":".join(value for _, value in by)


@pytest.mark.parametrize("by", [MERCHANT, WAREHOUSE, actor("driver", 6)])
async def test_what_another_party_uploaded_proves_no_step_of_mine(delivery: Delivery, by: Metadata) -> None:
    package_sn = (await delivery.create("DRIVER_TO_WAREHOUSE")).package_sn
    await delivery.drive(await delivery.get(package_sn), until="PreparePackage")
    await delivery.driver("6")
    await delivery.move("ClaimPackage", package_sn, by=actor("driver", 6))
    photo = await delivery.upload(package_sn, "COLLECTION", by=by)
    await delivery.move("AssignDriver", package_sn, by=DISPATCHER, driver_id="5")
    await delivery.quiet()

    refusal = await delivery.refused(
        delivery.move("PickUpPackage", package_sn, by=DRIVER, evidence_ids=[photo.evidence_id])
    )

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "EVIDENCE_UNFIT")
    uploader = ":".join(value for _, value in by)
    assert refusal.violations == [(photo.evidence_id, f"was uploaded by {uploader}")]


@pytest.mark.parametrize("by", [DISPATCHER, SYSTEM])
async def test_what_acts_for_all_uploads_for_all(delivery: Delivery, by: Metadata) -> None:
    package_sn = (await delivery.create("MERCHANT_TO_USER")).package_sn
    photo = await delivery.upload(package_sn, "PREPARATION", by=by)

    package = await delivery.move("PreparePackage", package_sn, by=MERCHANT, evidence_ids=[photo.evidence_id])

    assert package.state == pb.PACKAGE_STATE_PREPARED
