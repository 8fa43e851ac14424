"""Stories that pass the crash points of both services, by name; their end is the same with a death and without."""

import asyncio
from collections.abc import Awaitable, Callable

import grpc
from google.protobuf.duration_pb2 import Duration
from holdfast.delivery.v1 import package_pb2 as pb
from holdfast.inventory.v1 import movement_pb2, reservation_pb2, transfer_pb2
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from chaos.calls.operators import repair_orders, write_over
from tests.support.town import SYSTEM, Town, ids


async def delivered(town: Town) -> None:
    """A package is created, prepared, delivered and completed; its stock is gone once."""
    sku = await town.stock(7)
    request = town.package_request(pb.WORKFLOW_MERCHANT_TO_USER, await town.order({sku: 2}))
    package = await town.insist(town.create, request)
    package = await town.stock_state(package.package_sn, pb.STOCK_STATE_HELD)

    await town.drive(package)

    package = await town.stock_state(package.package_sn, pb.STOCK_STATE_COMMITTED)
    assert package.state == pb.PACKAGE_STATE_COMPLETED
    assert await town.insist(town.levels, sku) == (5, 0)
    assert await _verbs(town, package.package_sn) == ["CREATE", "PREPARE", "DELIVER", "COMPLETE"]


async def cancelled(town: Town) -> None:
    """A package is created and cancelled; its stock is back."""
    sku = await town.stock(7)
    request = town.package_request(pb.WORKFLOW_MERCHANT_TO_USER, await town.order({sku: 2}))
    package = await town.insist(town.create, request)
    await town.stock_state(package.package_sn, pb.STOCK_STATE_HELD)

    await town.insist(town.cancel, package.package_sn)

    package = await town.stock_state(package.package_sn, pb.STOCK_STATE_RELEASED)
    assert package.state == pb.PACKAGE_STATE_CANCELLED
    assert await town.insist(town.levels, sku) == (7, 0)
    assert await _verbs(town, package.package_sn) == ["CREATE", "CANCEL"]


async def rejected(town: Town) -> None:
    """A package finds no stock; its reservation is closed for ever."""
    sku = await town.stock(1)
    request = town.package_request(pb.WORKFLOW_MERCHANT_TO_USER, await town.order({sku: 2}))
    package = await town.insist(town.create, request)

    package = await town.stock_state(package.package_sn, pb.STOCK_STATE_REJECTED)
    reservation = await town.insist(_tombstone, town, package.reservation_id)

    assert reservation.tombstone
    assert await town.insist(town.levels, sku) == (1, 0)


async def many_at_once(town: Town) -> None:
    """Many reserve one stock at once; each gets what it asked for, once."""
    sku = await town.stock(10)

    await asyncio.gather(*(town.insist(town.reserve, f"R-{next(ids)}", sku) for _ in range(8)))

    assert await town.insist(town.levels, sku) == (10, 8)


async def many_before_a_locked_stock(town: Town) -> None:
    """The same while somebody else has the stock in hand for longer than a batch waits."""
    sku = await town.stock(10)
    engine = create_async_engine(town.pair.inventory_url)
    async with engine.begin() as connection:
        await connection.execute(
            text("SELECT FROM inventory.stock WHERE sku = :sku FOR UPDATE"), {"sku": sku}
        )
        reserving = [asyncio.create_task(town.insist(town.reserve, f"R-{next(ids)}", sku)) for _ in range(8)]
        await asyncio.sleep(1.5)
    await engine.dispose()

    await asyncio.gather(*reserving)

    assert await town.insist(town.levels, sku) == (10, 8)


async def expired(town: Town) -> None:
    """A hold with a time to live lapses, and the sweeper tidies up."""
    sku = await town.stock(3)
    request = reservation_pb2.ReserveStockRequest(
        reservation_id=f"R-{next(ids)}",
        holder="tests",
        lines=[reservation_pb2.ReservationLine(sku=sku, quantity=3)],
        ttl=Duration(seconds=1),
    )
    await town.inventory.ReserveStock(request, metadata=SYSTEM, timeout=10)

    for _ in range(200):
        if await town.insist(town.levels, sku) == (3, 0):
            return
        await asyncio.sleep(0.1)
    raise AssertionError("the hold was never given back")


async def adjusted(town: Town) -> None:
    """Units come, once."""
    sku = await town.stock(7)
    request = movement_pb2.AdjustStockRequest(
        sku=sku, delta=3, reason=movement_pb2.MOVEMENT_REASON_RECEIVED, request_id=sku
    )

    await town.insist(town.inventory.AdjustStock, request, metadata=SYSTEM, timeout=10)

    assert await town.insist(town.levels, sku) == (10, 0)


async def imported(town: Town) -> None:
    """A file of quantities is applied, once."""
    skus = [await town.stock(7) for _ in range(2)]
    messages = [
        transfer_pb2.ImportStocksRequest(options=transfer_pb2.ImportOptions(import_id=skus[0])),
        *(
            transfer_pb2.ImportStocksRequest(row=transfer_pb2.ImportRow(line=line, sku=sku, quantity=9))
            for line, sku in enumerate(skus, 1)
        ),
    ]

    async def send() -> None:
        await town.inventory.ImportStocks(iter(messages), metadata=SYSTEM, timeout=10)

    await town.insist(send)

    for sku in skus:
        assert await town.insist(town.levels, sku) == (9, 0)


async def repaired(town: Town) -> None:
    """What somebody else has written over is put right, and stands in the timeline once."""
    sku = await town.stock(7)
    request = town.package_request(pb.WORKFLOW_MERCHANT_TO_USER, await town.order({sku: 2}))
    package = await town.insist(town.create, request)
    package_sn = package.package_sn
    package = await town.stock_state(package_sn, pb.STOCK_STATE_HELD)
    await write_over(town, package_sn)

    await town.insist(repair_orders, town, package_sn)

    assert (await town.insist(town.get, package_sn)).order_ids == package.order_ids
    assert await _verbs(town, package_sn) == ["CREATE", "RECONCILE"]


Story = Callable[[Town], Awaitable[None]]

DELIVERY: list[tuple[str, Story]] = [
    *((f"create.{point}", delivered) for point in ("after_package", "after_outbox", "before_commit")),
    *((f"create.{point}", delivered) for point in ("after_commit", "after_nudge", "before_reply")),
    ("claim.before_commit", delivered),
    ("claim.after_commit", delivered),
    ("claim.after_commit lease.after_takeover", delivered),
    ("call.before_send", delivered),
    ("call.after_send", delivered),
    ("call.after_reply", delivered),
    ("record.before_commit", delivered),
    ("record.rejected_before_commit", rejected),
    ("record.after_commit", delivered),
    *((f"pivot.{point}", delivered) for point in ("after_state", "before_commit", "after_commit")),
    *((f"cancel.{point}", cancelled) for point in ("after_state", "before_commit", "after_commit")),
    *((f"evidence.{point}", delivered) for point in ("after_temp", "after_fsync", "after_rename")),
    *((f"evidence.{point}", delivered) for point in ("before_commit", "after_commit")),
    *((f"reconcile.{point}", repaired) for point in ("before_commit", "after_commit")),
]
"""Delivery's; of two points it dies at the one, and then at the other."""

INVENTORY: list[tuple[str, Story]] = [
    *((f"batch.{point}", delivered) for point in ("after_lock", "after_decide", "after_save")),
    *((f"batch.{point}", delivered) for point in ("before_commit", "after_commit")),
    ("batch.some_replies", many_at_once),
    ("batch.between_isolated", many_before_a_locked_stock),
    ("commit.after_movement", delivered),
    ("tombstone.before_commit", rejected),
    *((f"expire.{point}", expired) for point in ("before_commit", "after_commit")),
    *((f"adjust.{point}", adjusted) for point in ("before_commit", "after_commit")),
    *((f"import.{point}", imported) for point in ("before_commit", "after_commit")),
]
"""Inventory's."""


async def _verbs(town: Town, package_sn: str) -> list[str]:
    request = pb.ListPackageEventsRequest(package_sn=package_sn, page_size=100)
    reply = await town.insist(_events, town, request)
    events = sorted(reply.events, key=lambda event: event.sequence)
    return [pb.Verb.Name(event.verb).removeprefix("VERB_") for event in events]


async def _events(town: Town, request: pb.ListPackageEventsRequest) -> pb.ListPackageEventsResponse:
    return await town.delivery.ListPackageEvents(request, timeout=10)


async def _tombstone(town: Town, reservation_id: str) -> reservation_pb2.Reservation:
    for _ in range(300):
        try:
            return await town.insist(town.reservation, reservation_id)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.NOT_FOUND:
                raise
            await asyncio.sleep(0.1)
    raise AssertionError(f"{reservation_id} has no tombstone")
