"""What the legacy tables look like: those of revision 0001, with the indexes of Phase 6."""

from delivery_service.adoption.catalogue import Expected, Written

_ID = "bigint unsigned"
_MONEY = "decimal(15,2)"


def _left_out(name: str, kind: str, *, nullable: bool = False) -> Expected:
    return Expected(name, kind, Written.LEFT_OUT, nullable)


def _as_null(name: str, kind: str) -> Expected:
    return Expected(name, kind, Written.AS_NULL, nullable=True)


_RECEIVER = {
    "receiver_name": "varchar(64)",
    "receiver_phone": "varchar(32)",
    "receiver_province": "varchar(64)",
    "receiver_city": "varchar(64)",
    "receiver_district": "varchar(64)",
    "receiver_address": "varchar(256)",
    "receiver_postal_code": "varchar(16)",
}
_KEY = _left_out("id", _ID)
_TIMES = (Expected("create_time", "datetime"), Expected("update_time", "datetime"))

TABLES = {
    "tigu_prepare_goods": (
        _KEY,
        Expected("prepare_sn", "varchar(64)"),
        Expected("order_ids", "text"),
        Expected("delivery_type", "int"),
        Expected("shipping_type", "int"),
        Expected("prepare_status", "int signed", nullable=True),
        Expected("type", "int"),
        Expected("shop_id", _ID),
        *(_left_out(name, kind, nullable=True) for name, kind in _RECEIVER.items()),
        _left_out("total_value", _MONEY, nullable=True),
        _left_out("settlement_status", "int"),
        _as_null("warehouse_id", _ID),
        _as_null("driver_id", _ID),
        *_TIMES,
        _as_null("actual_arrival_time", "datetime"),
    ),
    "tigu_prepare_goods_item": (
        _KEY,
        Expected("prepare_id", _ID),
        # Revision 0004 lets these be NULL.
        Expected("order_item_id", _ID, nullable=True),
        Expected("product_id", _ID, nullable=True),
        Expected("sku_id", _ID),
        Expected("quantity", "int"),
        Expected("create_time", "datetime"),
    ),
    "tigu_order": (
        _KEY,
        Expected("order_sn", "varchar(64)"),
        Expected("user_id", _ID),
        Expected("shop_id", _ID),
        _left_out("total_amount", _MONEY, nullable=True),
        Expected("shipping_type", "int"),
        Expected("shipping_status", "int"),
        Expected("order_status", "int"),
        _left_out("pay_status", "int"),
        *(_as_null(name, kind) for name, kind in _RECEIVER.items()),
        _left_out("warehouse_id", _ID, nullable=True),
        _left_out("driver_id", _ID, nullable=True),
        *(
            _left_out(f"{step}_time", "datetime", nullable=True)
            for step in ("shipping", "driver_receive", "arrive_warehouse", "warehouse_shipping", "finish")
        ),
        *_TIMES,
    ),
    "tigu_order_item": (
        _KEY,
        Expected("order_id", _ID),
        Expected("product_id", _ID, nullable=True),
        Expected("sku_id", _ID),
        _as_null("product_name", "json"),
        _left_out("sku_code", "varchar(50)", nullable=True),
        Expected("quantity", "int"),
        _left_out("price", _MONEY, nullable=True),
    ),
    "tigu_order_action": (
        _KEY,
        Expected("order_id", _ID),
        Expected("order_status", "int", nullable=True),
        Expected("shipping_status", "int", nullable=True),
        Expected("shipping_type", "int", nullable=True),
        Expected("action_type", "int"),
        Expected("logistics_voucher_file", "varchar(2000)", nullable=True),
        Expected("create_by", "varchar(64)", nullable=True),
        Expected("create_time", "datetime"),
        _as_null("remark", "varchar(5000)"),
    ),
    "tigu_uploaded_files": (
        _KEY,
        Expected("file_name", "varchar(255)"),
        Expected("file_url", "varchar(500)"),
        Expected("file_type", "varchar(200)", nullable=True),
        Expected("file_size", "bigint", nullable=True),
        Expected("biz_type", "varchar(200)", nullable=True),
        Expected("biz_id", _ID, nullable=True),
        Expected("uploader_id", _ID, nullable=True),
        Expected("create_time", "datetime"),
    ),
    "tigu_warehouse": (
        _KEY,
        Expected("code", "varchar(32)"),
        Expected("name", "varchar(100)"),
        *(_left_out(name, "varchar(64)", nullable=True) for name in ("province", "city", "district")),
        Expected("address", "varchar(256)", nullable=True),
    ),
    "tigu_driver": (
        _KEY,
        Expected("name", "varchar(100)"),
        Expected("phone", "varchar(20)"),
        Expected("status", "tinyint"),
        _left_out("rating", "decimal(3,2)", nullable=True),
        _left_out("total_deliveries", "int"),
    ),
}

UNIQUE = {
    "tigu_prepare_goods": "prepare_sn",
    "tigu_order": "order_sn",
    "tigu_warehouse": "code",
    "tigu_driver": "phone",
}
"""The column that the engine must keep unique in each of these tables, beside the id of every table."""

USEFUL = {
    "tigu_order_item": "order_id",
    "tigu_order_action": "order_id",
    "tigu_prepare_goods_item": "prepare_id",
}
"""The column by which rows are looked up; without an index it is slow, and right."""

PHASE_6 = {
    "idx_order_ids": (("order_ids", 100),),
    "idx_delivery_shipping": (("delivery_type", None), ("shipping_type", None)),
}
"""The indexes of Phase 6 on tigu_prepare_goods: columns with the length of their prefix, None for the whole."""

# Names that this service gives; nothing of another meaning may bear them.
TAKEN_TABLES = (
    *("tigu_prepare_goods_order", "package_event", "evidence", "outbox", "request", "repair"),
    *("adoption", "adoption_step", "adoption_row", "adoption_restore", "legacy_write_day"),
)
TAKEN_COLUMNS = {
    "tigu_prepare_goods": (
        *("version", "stock_state", "attempt", "reservation_id", "rejection_reason", "shortages"),
        *("content_digest", "prepare_time", "claim_time", "pick_up_time", "arrive_time", "receive_time"),
        *("ship_time", "deliver_time", "complete_time", "cancel_time"),
        "legacy_write_time",
    ),
    "tigu_prepare_goods_item": ("sku",),
    "tigu_order_item": ("sku",),
}
TAKEN_INDEXES = {
    "tigu_prepare_goods": (
        *("uq_prepare_goods_reservation", "idx_prepare_goods_shop", "idx_prepare_goods_driver"),
        *("idx_prepare_goods_warehouse", "idx_prepare_goods_status", "idx_prepare_goods_stock"),
        *("idx_prepare_goods_legacy_write", "idx_prepare_goods_claim", "idx_prepare_goods_workflow_status"),
    ),
    "tigu_prepare_goods_item": ("idx_prepare_goods_item_order_item",),
    "tigu_order": ("idx_order_shop", "idx_order_user", "idx_order_status"),
    "tigu_order_item": ("idx_order_item_order",),
}
LISTED_BY = {"idx_order_shop": "shop_id", "idx_order_user": "user_id", "idx_order_status": "order_status"}
"""The column of those that the legacy system may well have made itself: the same is welcome."""
