"""Records of photos that are gone while an event names them: made again from the bytes, or left to people."""

import grpc
import pytest
from holdfast.delivery.v1 import evidence_pb2 as ev

from delivery_service.domain.evidence import photo_name
from tests.delivery_service.client import Delivery
from tests.delivery_service.conftest import Running
from tests.delivery_service.rpc.reconciling import execute, reconcile

LOST = "DELETE FROM evidence"


async def prepared(delivery: Delivery) -> ev.Evidence:
    """The proof of a package that is prepared."""
    await delivery.drive(await delivery.create("MERCHANT_TO_USER", package_sn="PG1"), until="PreparePackage")
    await delivery.quiet()
    return await recorded(delivery)


async def recorded(delivery: Delivery) -> ev.Evidence:
    (evidence,) = (
        await delivery.stub.ListEvidence(ev.ListEvidenceRequest(package_sn="PG1"), timeout=10)
    ).evidence
    return evidence


async def test_a_lost_record_is_made_again_from_the_bytes_and_the_event_that_names_them(
    delivery: Delivery, running: Running
) -> None:
    before = await prepared(delivery)
    await execute(delivery, LOST)

    (answer,) = await reconcile(delivery, "proofs", validate_only=False)
    after = await recorded(delivery)

    assert answer.repaired
    assert answer.repair == (
        f"the record of photo {before.evidence_id} was gone and is written from its bytes and event 2;"
        " who uploaded it is unknown"
    )
    assert (after.uploader, after.file_name) == ("unknown", "")
    # Received is when the bytes were written, a moment before the record was.
    assert abs(after.create_time.ToNanoseconds() - before.create_time.ToNanoseconds()) < 60e9
    for name in ("uploader", "file_name", "create_time", "clock_skew"):
        before.ClearField(name)
        after.ClearField(name)
    assert after == before
    assert await delivery.download(after.evidence_id)
    assert (await delivery.events("PG1"))[-1] == "RECONCILE"
    assert await delivery.findings() == []


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "neither a record nor bytes of the photo are there; a backup has both"),
        (b"?", "the record of the photo is gone, and its bytes are damaged; a backup has both"),
    ],
)
async def test_where_the_bytes_are_gone_as_well_nothing_is_made_up(
    delivery: Delivery, running: Running, content: bytes | None, why: str
) -> None:
    before = await prepared(delivery)
    file = running.photos / photo_name(before.sha256, before.evidence_id)
    file.unlink() if content is None else file.write_bytes(content)
    await execute(delivery, LOST)
    rows = await delivery.everything()

    (answer,) = await reconcile(delivery, "proofs", validate_only=False)

    assert (answer.repaired, answer.repair) == (False, f"left to people: {why}")
    assert await delivery.everything() == rows
    with pytest.raises(grpc.aio.AioRpcError):
        await delivery.download(before.evidence_id)
    await execute(delivery, "UPDATE package_event SET evidence_ids = '[]'")
