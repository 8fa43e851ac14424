"""Callers that leave in the middle of a transaction leave no lock, no half and no double behind."""

import asyncio
import random
import time

import grpc
from holdfast.delivery.v1 import package_pb2 as pb
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from devtools.journey import CALL_SECONDS, CLAIM, PREPARE
from tests.support.refusals import refused
from tests.support.services import Pair
from tests.support.town import Town

LOCK = text("SELECT id FROM tigu_prepare_goods WHERE prepare_sn = :package_sn FOR UPDATE")
# The lock wait limit of a session, and as much again for the work around it.
LONGEST_LOCK_SECONDS = 6.0


async def test_a_caller_that_leaves_while_its_row_is_locked_leaves_no_lock_behind(
    pair: Pair, town: Town
) -> None:
    package = await town.package_of(pb.WORKFLOW_MERCHANT_TO_USER, {await town.stock(1): 1})
    photo = await town.journey.upload(package.package_sn, pb.EVIDENCE_KIND_PREPARATION, "merchant")
    request = pb.PreparePackageRequest(package_sn=package.package_sn, evidence_ids=[photo], request_id="1")
    merchant = town.parties.metadata("merchant")
    engine = create_async_engine(pair.delivery_url)

    async with engine.connect() as blocker:
        await blocker.execute(LOCK, {"package_sn": package.package_sn})
        late = await refused(town.delivery.PreparePackage(request, metadata=merchant, timeout=0.5))
        assert late.code is grpc.StatusCode.DEADLINE_EXCEEDED
        leaver = asyncio.ensure_future(_prepare(town, request))
        await asyncio.sleep(0.3)
        leaver.cancel()
        await blocker.rollback()

    assert await _lock_seconds(engine, package.package_sn) < LONGEST_LOCK_SECONDS
    await town.insist(_prepare, town, request)
    assert await _verbs(town, package.package_sn) == ["CREATE", "PREPARE"]
    await engine.dispose()


async def test_a_storm_of_departures_has_each_effect_once(pair: Pair, town: Town) -> None:
    chosen = random.Random(7)
    sku = await town.stock(40)
    packages = [await town.package_of(pb.WORKFLOW_DRIVER_TO_USER, {sku: 1}) for _ in range(40)]
    requests = [
        pb.PreparePackageRequest(
            package_sn=package.package_sn,
            evidence_ids=[
                await town.journey.upload(package.package_sn, pb.EVIDENCE_KIND_PREPARATION, "merchant")
            ],
            request_id=f"prepare-{package.package_sn}",
        )
        for package in packages
    ]

    async def leave(request: pb.PreparePackageRequest) -> bool:
        task = asyncio.ensure_future(_prepare(town, request))
        await asyncio.sleep(chosen.uniform(0, 0.1))
        task.cancel()
        return isinstance((await asyncio.gather(task, return_exceptions=True))[0], BaseException)

    left = await asyncio.gather(*map(leave, requests))
    assert any(left), "everybody got an answer: nobody left in time"
    for request in requests:
        await town.insist(_prepare, town, request)

    for package in packages:
        assert await _verbs(town, package.package_sn) == ["CREATE", "PREPARE"]
    assert await town.findings() == []


async def test_one_of_many_drivers_claims_a_package(pair: Pair, town: Town) -> None:
    package = await town.package_of(pb.WORKFLOW_DRIVER_TO_USER, {await town.stock(1): 1})
    await town.take(package.package_sn, PREPARE)
    rivals = [Town(pair) for _ in range(20)]
    for rival in rivals:
        await rival.found()

    outcomes = await asyncio.gather(
        *(rival.take(package.package_sn, CLAIM) for rival in rivals), return_exceptions=True
    )

    winners = [outcome for outcome in outcomes if isinstance(outcome, pb.Package)]
    losers = [outcome for outcome in outcomes if isinstance(outcome, grpc.aio.AioRpcError)]
    assert (len(winners), len(losers)) == (1, 19)
    assert {error.code() for error in losers} == {grpc.StatusCode.FAILED_PRECONDITION}
    assert winners[0].driver_id not in {error.details() for error in losers}
    for rival in rivals:
        await rival.close()


async def _prepare(town: Town, request: pb.PreparePackageRequest) -> pb.PreparePackageResponse:
    merchant = town.parties.metadata("merchant")
    return await town.delivery.PreparePackage(request, metadata=merchant, timeout=CALL_SECONDS)


async def _lock_seconds(engine: AsyncEngine, package_sn: str) -> float:
    """How long it takes to get the package's row lock."""
    began = time.monotonic()
    async with engine.connect() as connection:
        await connection.execute(text("SET SESSION innodb_lock_wait_timeout = 50"))
        await connection.execute(LOCK, {"package_sn": package_sn})
        await connection.rollback()
    return time.monotonic() - began


async def _verbs(town: Town, package_sn: str) -> list[str]:
    request = pb.ListPackageEventsRequest(package_sn=package_sn, page_size=100)
    reply = await town.delivery.ListPackageEvents(request, timeout=CALL_SECONDS)
    return [
        pb.Verb.Name(event.verb).removeprefix("VERB_")
        for event in sorted(reply.events, key=lambda event: event.sequence)
    ]
