"""What the legacy system left: the tables of revision 0001, its later additions, and the objects of Phase 2."""

from inventory_service.adoption.catalogue import Expected
from inventory_service.domain.legacy import MONEY

FLAGS = ("listed_stockx", "listed_alias", "listed_local")

_INSTANT = "timestamp with time zone"
_RATES = ("vat_rate", "roi_percentage")
_MONEY = tuple(Expected(name, "numeric(5,2)" if name in _RATES else "numeric(10,2)") for name in MONEY)
_ID = Expected("id", "any", required=False)

PHASE_2_COLUMNS = (
    Expected("listed_on_platforms", "jsonb", required=False),
    Expected("status_history", "jsonb", required=False),
    Expected("reserved_quantity", "integer", required=False),
)

TABLES = {
    "stock": (
        Expected("id", "uuid", "gen_random_uuid()"),
        Expected("product_id", "uuid", always_given=True),
        Expected("size_id", "uuid", always_given=True),
        Expected("supplier_id", "uuid"),
        Expected("ean", "character varying(13)"),
        Expected("quantity", "integer", "1"),
        *_MONEY,
        Expected("purchase_date", _INSTANT),
        Expected("delivery_date", _INSTANT),
        Expected("status", "character varying(50)", "'in_stock'"),
        Expected("detailed_status", "character varying(50)"),
        Expected("notes", "text"),
        Expected("external_ids", "jsonb"),
        Expected("shelf_life_days", "integer"),
        Expected("location", "character varying(50)"),
        Expected("created_at", _INSTANT, "now()"),
        Expected("updated_at", _INSTANT, "now()"),
        *PHASE_2_COLUMNS,
        *(Expected(flag, "boolean", required=False) for flag in FLAGS),
    ),
    "stock_financial": (_ID, Expected("stock_id", "uuid"), *_MONEY),
    "stock_lifecycle": (
        _ID,
        Expected("stock_id", "uuid"),
        Expected("listed_on_platforms", "jsonb"),
        Expected("status_history", "jsonb"),
    ),
    "stock_metrics": (
        _ID,
        Expected("stock_id", "uuid"),
        Expected("available_quantity", "integer"),
        Expected("reserved_quantity", "integer"),
        Expected("total_cost", "numeric(12,2)"),
        Expected("expected_profit", "numeric(12,2)"),
    ),
    "stock_reservation": (
        Expected("id", "any"),
        Expected("stock_id", "uuid"),
        Expected("reserved_quantity", "integer"),
        Expected("reserved_until", _INSTANT, required=False),
        Expected("reservation_reason", "text", required=False),
        Expected("status", "character varying(50)", required=False),
        Expected("reserved_by", "character varying(50)", required=False),
        Expected("created_at", _INSTANT, required=False),
    ),
}

VIEW = "stock_metrics_view"
VIEW_COLUMNS = [
    *(
        "stock_id",
        "total_quantity",
        "available_quantity",
        "reserved_quantity",
        "total_cost",
        "expected_profit",
    ),
    *("last_calculated_at", "created_at", "updated_at"),
]
REFRESH = "refresh_stock_metrics"

INDEXES = {
    "idx_stock_reserved": "stock USING btree (id, reserved_quantity) WHERE (reserved_quantity > 0)",
    "idx_stock_listed_platforms": (
        "stock USING gin (listed_on_platforms) WHERE (listed_on_platforms IS NOT NULL)"
    ),
    "idx_stock_status_history": "stock USING gin (status_history) WHERE (status_history IS NOT NULL)",
    "idx_stock_metrics_view_stock_id": "stock_metrics_view USING btree (stock_id)",
    "idx_stock_metrics_view_available": (
        "stock_metrics_view USING btree (available_quantity) WHERE (available_quantity > 0)"
    ),
}
"""Name → what pg_get_indexdef says behind the schema's name."""

# Names that this service gives; nothing of another meaning may bear them.
TAKEN_COLUMNS = ("sku", "version")
TAKEN_TABLES = (
    *("reservation", "reservation_line", "removed_stock", "request", "imported_row", "import_stream_line"),
    *("stock_movement", "uncounted_movement", "archived_month", "stock_movement_balance"),
    *("stock_metrics_refresh", "stock_threshold", "stock_threshold_default", "stock_alert", "repair"),
    *("adoption", "adoption_stock", "adoption_sku", "dropped_foreign_key"),
)
TAKEN_FACTS = ("daily_stock_fact", "daily_status_fact", "first_fill")
"""Of the schema analytics, which the database may have for other ends."""
