"""What callers see, and what is left behind, when something in between fails."""

import asyncio

import grpc
from holdfast.delivery.v1 import delivery_pb2_grpc
from holdfast.delivery.v1 import package_pb2 as pb
from holdfast.inventory.v1 import movement_pb2, reservation_pb2

from devtools.journey import PREPARE, deliver
from tests.support.proxy import proxy_to
from tests.support.refusals import refused
from tests.support.services import Pair
from tests.support.town import SYSTEM, Town, ids


async def test_a_lost_answer_is_safe_to_ask_for_again(pair: Pair, town: Town) -> None:
    sku = await town.stock(5)
    request = town.package_request(pb.WORKFLOW_MERCHANT_TO_USER, await town.order({sku: 2}))
    request.request_id = f"create-{request.package_sn}"
    merchant = town.parties.metadata("merchant")

    async with proxy_to(pair.delivery.address) as proxy, grpc.aio.insecure_channel(proxy.address) as channel:
        stub = delivery_pb2_grpc.DeliveryServiceStub(channel)
        await stub.GetPackage(pb.GetPackageRequest(package_sn=await _any_package(town)), timeout=10)
        proxy.swallow_replies = True
        lost = await refused(stub.CreatePackage(request, metadata=merchant, timeout=2))
        assert lost.code is grpc.StatusCode.DEADLINE_EXCEEDED
        assert proxy.swallowed_bytes > 0

    call = town.delivery.CreatePackage(request, metadata=merchant, timeout=10)
    package = (await call).package
    assert ("idempotent-replayed", "true") in [(str(k), v) for k, v in await call.initial_metadata()]
    assert package.stock_state == pb.STOCK_STATE_HELD
    assert await town.levels(sku) == (5, 2)


async def test_packages_created_while_inventory_is_down_are_held_once_it_is_back(
    pair: Pair, town: Town
) -> None:
    sku = await town.stock(100)
    requests = [
        town.package_request(pb.WORKFLOW_MERCHANT_TO_USER, await town.order({sku: 3})) for _ in range(10)
    ]

    await pair.inventory.kill()
    packages = await asyncio.gather(*map(town.create, requests))
    assert {package.stock_state for package in packages} == {pb.STOCK_STATE_REQUESTED}
    await asyncio.sleep(2)
    await pair.inventory.start()

    for package in packages:
        await town.stock_state(package.package_sn, pb.STOCK_STATE_HELD)
    assert await town.levels(sku) == (100, 30)
    assert await town.findings() == []


async def test_a_graceful_stop_under_load_leaves_no_unknown_outcome(pair: Pair, town: Town) -> None:
    sku = await town.stock(1)
    answered, refused = 0, 0
    stopped = asyncio.Event()

    async def caller() -> None:
        nonlocal answered, refused
        while not stopped.is_set():
            request = movement_pb2.AdjustStockRequest(
                sku=sku, delta=1, reason=movement_pb2.MOVEMENT_REASON_RECEIVED, request_id=f"adj-{next(ids)}"
            )
            try:
                await town.inventory.AdjustStock(request, metadata=SYSTEM, timeout=10)
                answered += 1
            except grpc.aio.AioRpcError as error:
                # CANCELLED is gRPC's own answer to what reaches it in the instant of its end, before any of ours.
                assert error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED), error
                refused += 1
                await asyncio.sleep(0.05)

    async def stop() -> None:
        await asyncio.sleep(1)
        assert await pair.inventory.terminate() == 0
        stopped.set()

    await asyncio.gather(stop(), *(caller() for _ in range(16)))
    await pair.inventory.start()

    # Whatever was refused was not done: were an outcome unknown, the sum could not be told.
    assert answered > 16
    assert refused > 0
    assert await town.insist(town.levels, sku) == (1 + answered, 0)
    assert "never retrieved" not in pair.inventory.log.read_text()


async def test_a_delayed_copy_of_a_refused_reserve_holds_nothing(town: Town) -> None:
    sku = await town.stock(1)
    package = await town.package_of(pb.WORKFLOW_MERCHANT_TO_USER, {sku: 2})
    assert package.stock_state == pb.STOCK_STATE_REJECTED
    line = reservation_pb2.ReservationLine(sku=sku, quantity=1)
    late = reservation_pb2.ReserveStockRequest(
        reservation_id=package.reservation_id, holder=f"package:{package.package_sn}", lines=[line]
    )

    for _ in range(100):
        if (await _release_settled(town, package.reservation_id)) is not None:
            break
        await asyncio.sleep(0.1)
    error = await refused(town.inventory.ReserveStock(late, metadata=SYSTEM, timeout=10))

    assert error.reason == "RESERVATION_TOMBSTONED"
    assert await town.levels(sku) == (1, 0)


async def test_a_step_that_needs_held_stock_waits_for_nobody_and_is_refused(pair: Pair, town: Town) -> None:
    sku = await town.stock(5)
    request = town.package_request(pb.WORKFLOW_MERCHANT_TO_USER, await town.order({sku: 1}))
    await pair.inventory.kill()
    package = await town.create(request)

    error = await refused(town.take(package.package_sn, PREPARE))
    assert error.reason == "STOCK_NOT_HELD"
    assert (await town.get(package.package_sn)).state == pb.PACKAGE_STATE_PENDING

    await pair.inventory.start()
    await town.stock_state(package.package_sn, pb.STOCK_STATE_HELD)
    await town.take(package.package_sn, PREPARE)
    await town.take(package.package_sn, deliver("merchant"))
    await town.stock_state(package.package_sn, pb.STOCK_STATE_COMMITTED)
    assert await town.levels(sku) == (4, 0)


async def _any_package(town: Town) -> str:
    return (await town.package_of(pb.WORKFLOW_MERCHANT_TO_USER, {await town.stock(1): 1})).package_sn


async def _release_settled(town: Town, reservation_id: str) -> reservation_pb2.Reservation | None:
    try:
        return await town.reservation(reservation_id)
    except grpc.aio.AioRpcError:
        return None
