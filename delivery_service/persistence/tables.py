"""The tables as the migrations leave them. Legacy tables list the columns that the service reads or writes."""

from datetime import UTC, datetime

from sqlalchemy import CHAR, JSON, Column, Date, Integer, MetaData, Numeric, SmallInteger, String, Table, Text
from sqlalchemy.dialects import mysql
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

from delivery_service.persistence.codes import STEP_COLUMNS
from servicekit.persistence.engines import UtcDateTime
from servicekit.persistence.requests import requests_table

metadata = MetaData()

_Id = mysql.BIGINT(unsigned=True)


class UtcSeconds(TypeDecorator[datetime]):
    """A legacy DATETIME: whole seconds, UTC. Fractions are cut off here; the engine would round them up."""

    impl = mysql.DATETIME
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC).replace(tzinfo=None, microsecond=0)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC)


RECEIVER_COLUMNS = ("name", "phone", "province", "city", "district", "address", "postal_code")


def _receiver() -> list[Column[str]]:
    return [Column(f"receiver_{name}", String(256)) for name in RECEIVER_COLUMNS]


packages = Table(
    "tigu_prepare_goods",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("prepare_sn", String(64), nullable=False, unique=True),
    Column("delivery_type", Integer, nullable=False),
    Column("shipping_type", Integer, nullable=False),
    Column("prepare_status", Integer),
    Column("type", Integer, nullable=False),
    Column("shop_id", _Id, nullable=False),
    *_receiver(),
    Column("warehouse_id", _Id),
    Column("driver_id", _Id),
    Column("create_time", UtcSeconds, nullable=False),
    Column("update_time", UtcSeconds, nullable=False),
    Column("actual_arrival_time", UtcSeconds),
    Column("version", _Id, nullable=False),
    Column("stock_state", SmallInteger, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("reservation_id", String(64)),
    Column("rejection_reason", String(64)),
    Column("shortages", Text),
    Column("content_digest", CHAR(64)),
    *(Column(name, UtcDateTime) for name in STEP_COLUMNS.values()),
    # Set by the engine when somebody else writes the row; the service names it in whatever it writes.
    Column("legacy_write_time", UtcDateTime),
)

package_items = Table(
    "tigu_prepare_goods_item",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("prepare_id", _Id, nullable=False),
    Column("order_item_id", _Id),
    Column("sku_id", _Id),
    Column("sku", String(64)),
    Column("quantity", Integer, nullable=False),
    Column("create_time", UtcSeconds, nullable=False),
)

package_orders = Table(
    "tigu_prepare_goods_order",
    metadata,
    Column("prepare_goods_id", _Id, primary_key=True, autoincrement=False),
    Column("order_id", _Id, primary_key=True, autoincrement=False),
    Column("active_leg", SmallInteger),
)

orders = Table(
    "tigu_order",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("order_sn", String(64), nullable=False, unique=True),
    Column("user_id", _Id, nullable=False),
    Column("shop_id", _Id, nullable=False),
    Column("shipping_type", Integer, nullable=False),
    Column("shipping_status", Integer, nullable=False),
    Column("order_status", Integer, nullable=False),
    *_receiver(),
    Column("create_time", UtcSeconds, nullable=False),
    Column("update_time", UtcSeconds, nullable=False),
)

order_items = Table(
    "tigu_order_item",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("order_id", _Id, nullable=False),
    Column("sku_id", _Id),
    Column("sku", String(64)),
    Column("product_name", JSON(none_as_null=True)),
    Column("quantity", Integer, nullable=False),
)

order_actions = Table(
    "tigu_order_action",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("order_id", _Id, nullable=False),
    Column("order_status", Integer),
    Column("shipping_status", Integer),
    Column("shipping_type", Integer),
    Column("action_type", Integer, nullable=False),
    Column("logistics_voucher_file", String(2000)),
    Column("create_by", String(64)),
    Column("create_time", UtcSeconds, nullable=False),
    Column("remark", String(5000)),
)

warehouses = Table(
    "tigu_warehouse",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("code", String(32), nullable=False, unique=True),
    Column("name", String(100), nullable=False),
    Column("address", String(256)),
)

drivers = Table(
    "tigu_driver",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("name", String(100), nullable=False),
    Column("phone", String(20), nullable=False, unique=True),
    Column("status", SmallInteger, nullable=False),
)

package_events = Table(
    "package_event",
    metadata,
    Column("package_id", _Id, primary_key=True, autoincrement=False),
    Column("sequence", Integer, primary_key=True, autoincrement=False),
    Column("verb", String(32), nullable=False),
    Column("from_status", SmallInteger),
    Column("to_status", SmallInteger, nullable=False),
    Column("actor_role", String(16), nullable=False),
    Column("actor_id", String(64), nullable=False),
    Column("driver_id", _Id),
    Column("evidence_ids", Text, nullable=False),
    Column("note", String(1000), nullable=False),
    Column("create_time", UtcDateTime, nullable=False),
)

evidence = Table(
    "evidence",
    metadata,
    Column("evidence_id", String(64), primary_key=True),
    Column("package_id", _Id, nullable=False),
    Column("package_sn", String(64), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("file_name", String(255), nullable=False),
    Column("media_type", String(32), nullable=False),
    Column("size_bytes", Integer, nullable=False),
    Column("sha256", CHAR(64), nullable=False),
    Column("used_sha256", CHAR(64), unique=True),
    Column("used_sequence", Integer),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("capture_time", UtcDateTime),
    Column("capture_offset_known", SmallInteger, nullable=False),
    Column("latitude", Numeric(9, 6)),
    Column("longitude", Numeric(9, 6)),
    Column("uploader", String(128), nullable=False),
    Column("create_time", UtcDateTime, nullable=False),
)

outbox = Table(
    "outbox",
    metadata,
    Column("entry_id", _Id, primary_key=True, autoincrement=True),
    Column("event_id", CHAR(32), nullable=False, unique=True),
    Column("package_id", _Id, nullable=False),
    Column("package_sn", String(64), nullable=False),
    Column("package_version", Integer, nullable=False),
    Column("command", String(16), nullable=False),
    Column("payload", Text, nullable=False),
    Column("trace", String(64), nullable=False),
    Column("state", SmallInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_attempt_time", UtcDateTime, nullable=False),
    Column("lease_until_time", UtcDateTime),
    Column("lease_token", CHAR(32)),
    Column("last_error", String(500)),
    Column("create_time", UtcDateTime, nullable=False),
    Column("done_time", UtcDateTime),
)

repairs = Table(
    "repair",
    metadata,
    Column("repair_id", _Id, primary_key=True, autoincrement=True),
    Column("caller", String(128), nullable=False),
    Column("request_id", String(64), nullable=False),
    Column("check_name", String(32), nullable=False),
    Column("subject", String(255), nullable=False),
    Column("description", String(500), nullable=False),
    Column("facts", Text, nullable=False),
    Column("repair", String(500), nullable=False),
    Column("trace", String(64), nullable=False),
    Column("create_time", UtcDateTime, nullable=False),
)

legacy_write_days = Table(
    "legacy_write_day",
    metadata,
    Column("day", Date, primary_key=True),
    Column("packages", Integer, nullable=False),
    Column("last_time", UtcDateTime, nullable=False),
)

requests = requests_table(metadata)
