"""Photos that are kept: found damaged where they are, mended, used once, swept once nothing needs them."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable
from datetime import timedelta
from pathlib import Path

import grpc
import pytest
from holdfast.delivery.v1 import evidence_pb2 as pb
from holdfast.delivery.v1 import package_pb2
from sqlalchemy import insert, select, text

from delivery_service.application.sweep_evidence import FOLDERS, sweep_strays, sweep_unused
from delivery_service.domain.evidence import photo_name, shared_name
from delivery_service.gateways.photo_store import FsspecPhotoStore
from delivery_service.persistence.tables import evidence as records
from delivery_service.persistence.unit_of_work import SqlUnitOfWork
from servicekit.persistence.transactions import Transactions
from tests.delivery_service.client import MERCHANT, Delivery, refused
from tests.delivery_service.conftest import Running
from tests.delivery_service.rpc.test_evidence import picture

DAY = 86_400


def files(folder: Path) -> set[str]:
    """Every file, by its name in the store."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


async def condition_of(delivery: Delivery, evidence_id: str) -> int:
    request = pb.GetEvidenceRequest(evidence_id=evidence_id)
    return (await delivery.stub.GetEvidence(request, timeout=10)).condition


def grown_old(file: Path, days: float = 1.1) -> None:
    """As if it had been written so long ago."""
    then = time.time() - days * DAY
    os.utime(file, (then, then))


@pytest.mark.parametrize("damage", ["flipped", "gone"])
async def test_damaged_bytes_are_found_when_they_are_sent(
    delivery: Delivery, running: Running, damage: str
) -> None:
    package = await delivery.create("DRIVER_TO_USER")
    evidence = await delivery.upload(package.package_sn, "PREPARATION")
    file = running.photos / photo_name(evidence.sha256, evidence.evidence_id)
    if damage == "gone":
        file.unlink()
    else:
        content = bytearray(file.read_bytes())
        content[100] ^= 1
        file.write_bytes(content)

    refusal = await refused(delivery.download(evidence.evidence_id))

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.DATA_LOSS, "EVIDENCE_DAMAGED")
    condition = pb.PHOTO_CONDITION_MISSING if damage == "gone" else pb.PHOTO_CONDITION_DAMAGED
    assert await condition_of(delivery, evidence.evidence_id) == condition


@pytest.mark.parametrize("damage", ["flipped", "gone"])
async def test_a_damaged_photo_proves_no_step_until_it_is_mended(
    delivery: Delivery, running: Running, damage: str
) -> None:
    package_sn = (await delivery.create("DRIVER_TO_USER")).package_sn
    sound, content = await delivery.upload(package_sn, "PREPARATION"), picture()
    hurt = await delivery.upload(package_sn, "PREPARATION", content)
    file = running.photos / photo_name(hurt.sha256, hurt.evidence_id)
    if damage == "gone":
        file.unlink()
    else:
        file.write_bytes(content[:-1] + b"?")
    shown = [sound.evidence_id, hurt.evidence_id]
    await delivery.quiet()

    def prepare() -> Awaitable[package_pb2.Package]:
        return delivery.move("PreparePackage", package_sn, by=MERCHANT, evidence_ids=shown)

    refusal = await delivery.refused(prepare())

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.DATA_LOSS, "EVIDENCE_DAMAGED")
    assert refusal.metadata["evidence_id"] == hurt.evidence_id
    await delivery.upload(package_sn, "PREPARATION", content)
    assert (await prepare()).state == package_pb2.PACKAGE_STATE_PREPARED


async def test_a_step_that_was_taken_is_answered_again_whatever_became_of_its_photo(
    delivery: Delivery, running: Running
) -> None:
    package_sn = (await delivery.create("DRIVER_TO_USER")).package_sn
    photo = await delivery.upload(package_sn, "PREPARATION")

    async def prepare() -> package_pb2.Package:
        return await delivery.move(
            "PreparePackage", package_sn, by=MERCHANT, evidence_ids=[photo.evidence_id]
        )

    first = await prepare()
    (running.photos / photo_name(photo.sha256, photo.evidence_id)).unlink()

    assert await prepare() == first


async def test_a_photo_that_is_asked_for_tells_whether_its_bytes_are_as_they_were(
    delivery: Delivery, running: Running
) -> None:
    package = await delivery.create("DRIVER_TO_USER")
    evidence = await delivery.upload(package.package_sn, "PREPARATION")

    assert await condition_of(delivery, evidence.evidence_id) == pb.PHOTO_CONDITION_INTACT

    file = running.photos / photo_name(evidence.sha256, evidence.evidence_id)
    file.unlink()
    file.mkdir()
    assert await condition_of(delivery, evidence.evidence_id) == pb.PHOTO_CONDITION_UNKNOWN
    file.rmdir()


async def test_the_same_photo_again_mends_a_damaged_one_and_leaves_no_second_copy(
    delivery: Delivery, running: Running
) -> None:
    package = await delivery.create("DRIVER_TO_USER")
    content = picture()
    evidence = await delivery.upload(package.package_sn, "PREPARATION", content)
    before = files(running.photos)
    (running.photos / photo_name(evidence.sha256, evidence.evidence_id)).write_bytes(b"damaged")

    again = await delivery.upload(package.package_sn, "PREPARATION", content)

    assert again.evidence_id == evidence.evidence_id
    assert await delivery.download(evidence.evidence_id) == content
    assert files(running.photos) == before


async def test_a_photo_that_an_earlier_build_kept_is_found(delivery: Delivery, running: Running) -> None:
    package = await delivery.create("DRIVER_TO_USER")
    content = picture()
    evidence = await delivery.upload(package.package_sn, "PREPARATION", content)
    kept = running.photos / photo_name(evidence.sha256, evidence.evidence_id)
    kept.rename(running.photos / shared_name(evidence.sha256))
    grown_old(running.photos / shared_name(evidence.sha256))

    await sweep_strays(transactions(running), store(running), evidence.sha256[:2])

    assert await delivery.download(evidence.evidence_id) == content


async def test_one_photo_proves_one_of_many_transitions_at_once(delivery: Delivery) -> None:
    content = picture()
    moves = []
    for _ in range(6):
        package = await delivery.create("DRIVER_TO_USER")
        photo = await delivery.upload(package.package_sn, "PREPARATION", content)
        moves.append((package.package_sn, photo.evidence_id))
    begun = time.monotonic()

    async def prepare(package_sn: str, evidence_id: str) -> str:
        try:
            await delivery.move("PreparePackage", package_sn, by=MERCHANT, evidence_ids=[evidence_id])
        except grpc.aio.AioRpcError as error:
            return error.details() or ""
        return "OK"

    answers = await asyncio.gather(*(prepare(*move) for move in moves))

    assert time.monotonic() - begun < 9
    assert sorted(answer[:29] for answer in answers) == ["OK"] + ["a photo proves one transition"] * 5


async def test_an_upload_that_is_broken_off_leaves_nothing(delivery: Delivery, running: Running) -> None:
    package = await delivery.create("DRIVER_TO_USER")
    await delivery.quiet()
    before, rows = files(running.photos), await delivery.everything()

    async def halves() -> AsyncIterator[pb.UploadEvidenceRequest]:
        header = pb.EvidenceHeader(package_sn=package.package_sn, kind=package_pb2.EVIDENCE_KIND_PREPARATION)
        yield pb.UploadEvidenceRequest(header=header)
        yield pb.UploadEvidenceRequest(chunk=picture()[:400])
        await asyncio.sleep(60)

    call = delivery.stub.UploadEvidence(halves(), metadata=MERCHANT, timeout=30)
    await asyncio.sleep(0.3)
    call.cancel()
    await asyncio.sleep(0.3)

    assert files(running.photos) == before
    assert await delivery.everything() == rows


async def test_an_upload_that_is_refused_after_its_bytes_were_written_leaves_none(
    delivery: Delivery, running: Running
) -> None:
    package = await delivery.create("DRIVER_TO_USER")
    await delivery.upload(package.package_sn, "PREPARATION", request_id="u1")
    before = files(running.photos)

    refusal = await refused(delivery.upload(package.package_sn, "PREPARATION", request_id="u1"))

    assert refusal.reason == "REQUEST_ID_REUSED"
    assert files(running.photos) == before


async def test_only_old_bytes_without_a_record_are_swept(delivery: Delivery, running: Running) -> None:
    package = await delivery.create("DRIVER_TO_USER")
    evidence = await delivery.upload(package.package_sn, "PREPARATION")
    kept = photo_name(evidence.sha256, evidence.evidence_id)
    digest = "ab" * 32
    strays = {photo_name(digest, "old"): True, photo_name(digest, "young"): False, "ab/.new-old": True}
    strays |= {"ab/.new-young": False, shared_name(digest): True, "ab/somebody-elses.txt": False}
    for name in strays:
        (running.photos / name).parent.mkdir(exist_ok=True)
        (running.photos / name).write_bytes(b"x")
        if "young" not in name:
            grown_old(running.photos / name)
    grown_old(running.photos / kept)

    for folder in FOLDERS:
        await sweep_strays(transactions(running), store(running), folder)

    left = files(running.photos)
    assert {name for name in strays if name not in left} == {name for name, swept in strays.items() if swept}
    assert kept in left


async def test_photos_that_prove_nothing_are_swept_when_they_are_old(
    delivery: Delivery, running: Running
) -> None:
    package = await delivery.create("DRIVER_TO_USER")
    used, unused, young = [await delivery.upload(package.package_sn, "PREPARATION") for _ in range(3)]
    await delivery.move("PreparePackage", package.package_sn, by=MERCHANT, evidence_ids=[used.evidence_id])
    async with running.engine.begin() as connection:
        old = text("UPDATE evidence SET create_time = NOW(6) - INTERVAL 50 DAY WHERE evidence_id <> :young")
        await connection.execute(old, {"young": young.evidence_id})

    swept = await sweep_unused(transactions(running), store(running), timedelta(days=45))

    assert swept == 1
    left = files(running.photos)
    assert photo_name(unused.sha256, unused.evidence_id) not in left
    for kept in (used, young):
        assert photo_name(kept.sha256, kept.evidence_id) in left
        await delivery.download(kept.evidence_id)
    assert (await refused(delivery.download(unused.evidence_id))).reason == "EVIDENCE_NOT_FOUND"


async def test_a_photo_that_is_uploaded_again_has_its_whole_time_again_unless_it_is_used(
    delivery: Delivery, running: Running
) -> None:
    package = await delivery.create("DRIVER_TO_USER")
    contents = picture(), picture()
    used, unused = [await delivery.upload(package.package_sn, "PREPARATION", content) for content in contents]
    await delivery.move("PreparePackage", package.package_sn, by=MERCHANT, evidence_ids=[used.evidence_id])
    async with running.engine.begin() as connection:
        old = "UPDATE evidence SET create_time = UTC_TIMESTAMP(6) - INTERVAL 44 DAY"
        await connection.execute(text(old))

    again = [await delivery.upload(package.package_sn, "PREPARATION", content) for content in contents]

    assert [kept.evidence_id for kept in again] == [used.evidence_id, unused.evidence_id]
    ages = [time.time() - kept.create_time.seconds for kept in again]
    assert (round(ages[0] / DAY), round(ages[1] / DAY)) == (44, 0)
    # Two days later, had it not been renewed, its 45 days were over.
    assert await sweep_unused(transactions(running), store(running), timedelta(days=43)) == 0
    assert await delivery.download(unused.evidence_id) == contents[1]


async def test_all_photos_that_are_asked_for_are_found(delivery: Delivery, running: Running) -> None:
    package = await delivery.create("DRIVER_TO_USER")
    photo = await delivery.upload(package.package_sn, "PREPARATION")
    async with running.engine.begin() as connection:
        row = (await connection.execute(select(records))).one()._asdict()
        copies = [row | {"evidence_id": f"e{n}", "sha256": f"{n:064x}"} for n in range(1500)]
        await connection.execute(insert(records), copies)
    ids = {photo.evidence_id, *(copy["evidence_id"] for copy in copies)}

    found = await transactions(running).read(lambda uow: uow.evidence.list_by_ids(ids))

    assert {each.evidence_id for each in found} == ids


def store(running: Running) -> FsspecPhotoStore:
    """The server's photos, as another replica opens them."""
    return FsspecPhotoStore(str(running.photos))


def transactions(running: Running) -> Transactions[SqlUnitOfWork]:
    """Another replica's way to the database."""
    return Transactions(running.engine, SqlUnitOfWork)
