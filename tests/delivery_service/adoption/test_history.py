"""What the old system noted of a package is seen through the service once it is adopted."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from holdfast.delivery.v1 import order_pb2
from holdfast.delivery.v1 import package_pb2 as pb
from sqlalchemy.ext.asyncio import AsyncEngine

from delivery_service.adoption.run import Dialect
from tests.delivery_service.adoption.conftest import Adopt
from tests.delivery_service.adoption.legacy_database import Legacy, lay_out
from tests.delivery_service.adoption.serving import served
from tests.delivery_service.client import MERCHANT, Delivery
from tests.migrations.delivery.legacy import execute, rows

# Order 4 is in PG900 alone, order 9000004 in PG900 and PG901: nothing tells whose its actions are.
PLANTED = (
    "INSERT INTO tigu_order (id, order_sn, user_id, shop_id, order_status) VALUES"
    " (4, 'O4', 1, 7, 2), (9000004, 'O9000004', 1, 7, 2)",
    "INSERT INTO tigu_prepare_goods (id, prepare_sn, order_ids, delivery_type, shipping_type, prepare_status,"
    " shop_id, driver_id, create_time, actual_arrival_time) VALUES"
    " (900, 'PG900', ' 4,9000004,,77', 1, 1, 1, 7, 5, '2025-01-15 09:00:00', '2025-01-15 13:00:00'),"
    " (901, 'PG901', '9000004', 0, 1, 5, 7, NULL, '2025-07-15 09:00:00', '2025-07-15 12:00:00')",
    "INSERT INTO tigu_uploaded_files (id, file_name, file_url) VALUES (16, 'a.jpg', '/a'), (17, 'b.jpg', '/b')",
    "INSERT INTO tigu_order_action (id, order_id, action_type, logistics_voucher_file, create_by, create_time, remark)"
    " VALUES (1, 4, 0, '16,17', 'merchant_7', '2025-01-15 10:00:00', 'two boxes'),"
    " (2, 4, 1, '18', 'driver_5', '2025-07-15 10:00:00', NULL),"
    " (3, 9000004, 5, '17', 'merchant_7', '2025-07-15 11:00:00', NULL)",
)


async def timeline(delivery: Delivery, package_sn: str) -> list[Any]:
    request = pb.ListPackageEventsRequest(package_sn=package_sn)
    return list((await delivery.stub.ListPackageEvents(request, timeout=10)).events)


async def delivery_types(delivery: Delivery, order_id: int) -> Any:
    request = order_pb2.GetOrderDeliveryTypeRequest(order_id=str(order_id))
    return await delivery.stub.GetOrderDeliveryType(request, timeout=10)


async def test_an_adopted_package_shows_its_steps_its_files_and_its_orders(
    engine: AsyncEngine, adopt: Adopt, delivery_url: str, tmp_path: Path
) -> None:
    await lay_out(engine, Legacy(packages=0))
    for statement in PLANTED:
        await execute(engine, statement)
    actions = await rows(
        engine, "SELECT id, logistics_voucher_file, remark FROM tigu_order_action ORDER BY id"
    )

    await adopt(dialect=Dialect.PHASE_6, time_zone="Europe/Berlin", without_backup=True)

    assert (
        await rows(engine, "SELECT id, logistics_voucher_file, remark FROM tigu_order_action ORDER BY id")
        == actions
    )
    async with served(delivery_url, engine, tmp_path / "photos") as delivery:
        events = await timeline(delivery, "PG900")
        assert [event.verb for event in events] == [pb.VERB_PREPARE, pb.VERB_PICK_UP, pb.VERB_ADOPT]
        assert [event.create_time.ToDatetime(UTC) for event in events[:2]] == [
            datetime(2025, 1, 15, 9, tzinfo=UTC),
            datetime(2025, 7, 15, 8, tzinfo=UTC),
        ]
        assert events[0].note == "tigu_order_action 1; tigu_uploaded_files 16,17; two boxes"
        assert "order_ids was ' 4,9000004,,77'" in events[2].note
        assert "in other packages too: tigu_order_action 3" in events[2].note
        assert all(not event.evidence_ids for event in events)
        package = await delivery.get("PG900")
        assert list(package.order_ids) == ["4", "9000004"]
        assert package.prepare_time == events[0].create_time
        assert package.pick_up_time == events[1].create_time
        assert package.create_time.ToDatetime(UTC) == datetime(2025, 1, 15, 8, tzinfo=UTC)
        assert [event.verb for event in await timeline(delivery, "PG901")] == [pb.VERB_ADOPT]
        # LIKE '%4%' found PG901 too.
        assert (await delivery_types(delivery, 4)).delivery_type == pb.DELIVERY_TYPE_DRIVER
        assert await delivery.findings("events") == []
        await delivery.move("CompletePackage", "PG901", by=MERCHANT)

    listed = "SELECT id, order_ids, legacy_write_time IS NULL FROM tigu_prepare_goods ORDER BY id"
    assert await rows(engine, listed) == [(900, "4,9000004", 1), (901, "9000004", 1)]
    # One package went on, and what the old application wrote there stays all the same.
    arrivals = await rows(engine, "SELECT actual_arrival_time FROM tigu_prepare_goods ORDER BY id")
    assert [str(row[0]) for row in arrivals] == ["2025-01-15 12:00:00", "2025-07-15 10:00:00"]


async def test_a_step_by_a_number_that_no_driver_can_have_is_taken_over(
    engine: AsyncEngine, adopt: Adopt, delivery_url: str, tmp_path: Path
) -> None:
    await lay_out(engine, Legacy(packages=0))
    for statement in PLANTED:
        await execute(engine, statement)
    await execute(engine, f"UPDATE tigu_order_action SET create_by = 'driver_{2**64}' WHERE id = 2")

    await adopt(dialect=Dialect.PHASE_6, without_backup=True)

    async with served(delivery_url, engine, tmp_path / "photos") as delivery:
        _, picked_up, _ = await timeline(delivery, "PG900")
        assert (picked_up.verb, picked_up.actor_id) == (pb.VERB_PICK_UP, f"driver_{2**64}")
