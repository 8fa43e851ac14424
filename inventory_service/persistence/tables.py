"""The tables of the schemas `inventory` and `analytics`, as the migrations leave them.

`stock` keeps the legacy names of its columns; every other table is ours. The legacy split tables and their
backups are known to the migrations only, the view `stock_metrics_view` to `stock_metrics` too.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Interval,
    MetaData,
    Numeric,
    Sequence,
    String,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from servicekit.persistence.engines import UtcDateTime
from servicekit.persistence.requests import requests_table

metadata = MetaData(schema="inventory")

# Ids are compared byte by byte: one order on every machine, and prefixes that an index can serve.
_Id = Text(collation="C")

stock = Table(
    "stock",
    metadata,
    Column("id", Uuid, primary_key=True, server_default=text("gen_random_uuid()")),
    Column("sku", _Id, nullable=False),
    Column("product_id", Uuid),
    Column("size_id", Uuid),
    Column("supplier_id", Uuid),
    Column("ean", String(13)),
    Column("quantity", Integer, nullable=False, server_default=text("1")),
    Column("reserved_quantity", Integer, nullable=False, server_default=text("0")),
    Column("purchase_price", Numeric(10, 2)),
    Column("gross_purchase_price", Numeric(10, 2)),
    Column("vat_amount", Numeric(10, 2)),
    Column("vat_rate", Numeric(5, 2)),
    Column("purchase_date", UtcDateTime),
    Column("delivery_date", UtcDateTime),
    Column("status", String(50), nullable=False, server_default=text("'in_stock'")),
    Column("detailed_status", String(50)),
    Column("notes", Text),
    Column("external_ids", JSONB),
    Column("shelf_life_days", Integer),
    Column("profit_per_shelf_day", Numeric(10, 2)),
    Column("roi_percentage", Numeric(5, 2)),
    Column("location", String(50)),
    Column("listed_on_platforms", JSONB),
    Column("status_history", JSONB),
    Column("version", BigInteger, nullable=False, server_default=text("1")),
    Column("created_at", UtcDateTime, nullable=False, server_default=text("now()")),
    Column("updated_at", UtcDateTime, nullable=False, server_default=text("now()")),
    UniqueConstraint("sku", name="uq_stock_sku"),
    CheckConstraint(
        "0 <= reserved_quantity AND reserved_quantity <= quantity", name="ck_stock_reserved_quantity"
    ),
    CheckConstraint(
        "status IN ('in_stock', 'presale', 'preorder', 'sold', 'canceled', 'error')", name="ck_stock_status"
    ),
    Index("ix_stock_created_at", "created_at", "id"),
    Index("idx_stock_reserved", "id", "reserved_quantity", postgresql_where=text("reserved_quantity > 0")),
    Index(
        "idx_stock_listed_platforms",
        "listed_on_platforms",
        postgresql_using="gin",
        postgresql_where=text("listed_on_platforms IS NOT NULL"),
    ),
    Index(
        "idx_stock_status_history",
        "status_history",
        postgresql_using="gin",
        postgresql_where=text("status_history IS NOT NULL"),
    ),
)

# Stocks that are gone, so that lines and movements of theirs still have a name.
removed_stock = Table(
    "removed_stock",
    metadata,
    Column("stock_id", Uuid, primary_key=True),
    Column("sku", _Id, nullable=False),
    Column("remove_time", UtcDateTime, nullable=False),
    Index("ix_removed_stock_sku", "sku"),
)

reservation = Table(
    "reservation",
    metadata,
    Column("reservation_id", _Id, primary_key=True),
    Column("holder", _Id, nullable=False),
    Column("state", Text, nullable=False),
    Column("tombstone", Boolean, nullable=False, server_default=text("false")),
    Column("created_by", Text, nullable=False),
    Column("ttl", Interval),
    Column("create_time", UtcDateTime, nullable=False),
    Column("expire_time", UtcDateTime),
    Column("resolve_time", UtcDateTime),
    Column("version", BigInteger, nullable=False, server_default=text("1")),
    CheckConstraint("state IN ('HELD', 'COMMITTED', 'RELEASED', 'EXPIRED')", name="ck_reservation_state"),
    CheckConstraint("(state = 'HELD') = (resolve_time IS NULL)", name="ck_reservation_resolve_time"),
    Index("ix_reservation_create_time", "create_time", "reservation_id"),
    Index("ix_reservation_holder", "holder", "create_time", "reservation_id"),
    Index(
        "ix_reservation_due",
        "expire_time",
        postgresql_where=text("state = 'HELD' AND expire_time IS NOT NULL"),
    ),
)

reservation_line = Table(
    "reservation_line",
    metadata,
    Column(
        "reservation_id",
        _Id,
        ForeignKey(reservation.c.reservation_id, name="fk_reservation_line_reservation"),
        primary_key=True,
    ),
    # No foreign key: the line outlives a stock that is removed.
    Column("stock_id", Uuid, primary_key=True),
    Column("quantity", Integer, nullable=False),
    Column("committed_quantity", Integer, nullable=False, server_default=text("0")),
    # True while the reservation is HELD; here too, so that a stock's open holds are one index away.
    Column("open", Boolean, nullable=False, server_default=text("true")),
    CheckConstraint(
        "quantity > 0 AND 0 <= committed_quantity AND committed_quantity <= quantity",
        name="ck_reservation_line_quantity",
    ),
    Index("ix_reservation_line_stock", "stock_id"),
    Index("ix_reservation_line_open", "stock_id", postgresql_where=text("open")),
)

stock_movement = Table(
    "stock_movement",
    metadata,
    Column(
        "movement_id",
        BigInteger,
        Sequence("stock_movement_id", metadata=metadata),
        primary_key=True,
        autoincrement=False,
        server_default=text("nextval('inventory.stock_movement_id')"),
    ),
    Column("create_time", UtcDateTime, primary_key=True),
    # No foreign key: a month of the ledger can be detached by itself.
    Column("stock_id", Uuid, nullable=False),
    Column("delta", Integer, nullable=False),
    Column("reason", Text, nullable=False),
    Column("reference", Text, nullable=False, server_default=text("''")),
    Column("note", Text, nullable=False, server_default=text("''")),
    Column("reservation_id", _Id),
    Column("actor", Text, nullable=False),
    CheckConstraint("delta <> 0", name="ck_stock_movement_delta"),
    Index("ix_stock_movement_create_time", "create_time", "movement_id"),
    Index("ix_stock_movement_stock", "stock_id", "create_time", "movement_id"),
    Index(
        "ix_stock_movement_reservation",
        "reservation_id",
        postgresql_where=text("reservation_id IS NOT NULL"),
    ),
    Index("ix_stock_movement_reference", "reference", postgresql_where=text("reference <> ''")),
    postgresql_partition_by="RANGE (create_time)",
)

# What the ledger says that the daily facts do not say yet; written by a trigger upon `stock_movement`.
uncounted_movement = Table(
    "uncounted_movement",
    metadata,
    Column("create_time", UtcDateTime, primary_key=True),
    Column("movement_id", BigInteger, primary_key=True, autoincrement=False),
    Column("sku", _Id, nullable=False),
    Column("status", Text, nullable=False),
    Column("platform", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("delta", Integer, nullable=False),
)

daily_stock_fact = Table(
    "daily_stock_fact",
    metadata,
    Column("day", Date, primary_key=True),
    Column("sku", _Id, primary_key=True),
    Column("received_quantity", BigInteger, nullable=False),
    Column("sold_quantity", BigInteger, nullable=False),
    Column("returned_quantity", BigInteger, nullable=False),
    Column("adjusted_quantity", BigInteger, nullable=False),
    Index("ix_daily_stock_fact_sku", "sku", "day"),
    schema="analytics",
)

daily_status_fact = Table(
    "daily_status_fact",
    metadata,
    Column("day", Date, primary_key=True),
    Column("status", _Id, primary_key=True),
    Column("platform", _Id, primary_key=True),
    Column("received_quantity", BigInteger, nullable=False),
    Column("sold_quantity", BigInteger, nullable=False),
    Column("returned_quantity", BigInteger, nullable=False),
    Column("adjusted_quantity", BigInteger, nullable=False),
    schema="analytics",
)

# Kept while an import may be repeated: a row that is here is not applied again.
imported_row = Table(
    "imported_row",
    metadata,
    Column("import_id", _Id, primary_key=True),
    Column("sku", _Id, primary_key=True),
    Column("import_time", UtcDateTime, nullable=False),
    Index("ix_imported_row_import_time", "import_time"),
)

# What an import under way has named so far, so that no server keeps it in memory.
import_stream_line = Table(
    "import_stream_line",
    metadata,
    Column("stream_id", Uuid, primary_key=True),
    Column("sku", _Id, primary_key=True),
    Column("line", BigInteger, nullable=False),
    Column("create_time", UtcDateTime, nullable=False),
    prefixes=["UNLOGGED"],
)

# Months of the ledger that left for the archive, each with the file that it is in.
archived_month = Table(
    "archived_month",
    metadata,
    Column("month", Date, primary_key=True),
    Column("file_name", Text, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("row_count", BigInteger, nullable=False),
    Column("delta_sum", BigInteger, nullable=False),
    Column("archive_time", UtcDateTime, nullable=False),
)

# The units that an archived month brought to a stock; a month that brought none has no row.
stock_movement_balance = Table(
    "stock_movement_balance",
    metadata,
    Column("stock_id", Uuid, primary_key=True),
    Column("month", Date, primary_key=True),
    Column("quantity", BigInteger, nullable=False),
)

# Of when the view `stock_metrics_view` is, and whether the database itself refreshes it; one row.
stock_metrics_refresh = Table(
    "stock_metrics_refresh",
    metadata,
    Column("only_row", Boolean, primary_key=True, server_default=text("true")),
    Column("refresh_time", UtcDateTime),
    Column("scheduled", Boolean, nullable=False, server_default=text("false")),
    CheckConstraint("only_row", name="ck_stock_metrics_refresh_only_row"),
)

# At or below how many available units a stock is low; a trigger judges it in the transaction of every change.
stock_threshold = Table(
    "stock_threshold",
    metadata,
    Column(
        "stock_id",
        Uuid,
        ForeignKey(stock.c.id, name="fk_stock_threshold_stock", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("threshold", Integer, nullable=False),
    CheckConstraint("threshold >= 0", name="ck_stock_threshold_threshold"),
)

# The same for stocks without one of their own; one row. It was applied to stocks up to the id `applied_to`, or to
# all of them where that is NULL.
stock_threshold_default = Table(
    "stock_threshold_default",
    metadata,
    Column("only_row", Boolean, primary_key=True, server_default=text("true")),
    Column("threshold", Integer),
    Column("change_time", UtcDateTime, nullable=False),
    Column("applied_to", Uuid),
    CheckConstraint("only_row", name="ck_stock_threshold_default_only_row"),
    CheckConstraint("threshold >= 0", name="ck_stock_threshold_default_threshold"),
)

# Stocks that are low, and those that were and are not announced yet; written by the trigger.
stock_alert = Table(
    "stock_alert",
    metadata,
    Column("alert_id", BigInteger, Identity(always=True), primary_key=True),
    Column(
        "stock_id",
        Uuid,
        ForeignKey(stock.c.id, name="fk_stock_alert_stock", ondelete="CASCADE"),
        nullable=False,
    ),
    Column("threshold", Integer, nullable=False),
    Column("available_quantity", Integer, nullable=False),
    Column("low_since_time", UtcDateTime, nullable=False),
    Column("end_time", UtcDateTime),
    Column("announced", Boolean, nullable=False, server_default=text("false")),
    Index("uq_stock_alert_open", "stock_id", unique=True, postgresql_where=text("end_time IS NULL")),
    Index(
        "ix_stock_alert_low_since_time",
        "low_since_time",
        "stock_id",
        postgresql_where=text("end_time IS NULL"),
    ),
    Index("ix_stock_alert_to_do", "alert_id", postgresql_where=text("NOT announced OR end_time IS NOT NULL")),
)

# What operators had repaired.
repair = Table(
    "repair",
    metadata,
    Column("repair_id", BigInteger, Identity(always=True), primary_key=True),
    Column("caller", String(128), nullable=False),
    Column("request_id", String(64), nullable=False),
    Column("check_name", Text, nullable=False),
    Column("subject", _Id, nullable=False),
    Column("description", Text, nullable=False),
    Column("facts", JSONB, nullable=False),
    Column("repair", Text, nullable=False),
    Column("trace", Text, nullable=False),
    Column("create_time", UtcDateTime, nullable=False),
    Index("ix_repair_request", "caller", "request_id", "repair_id"),
    Index("ix_repair_subject", "subject"),
)

request = requests_table(metadata, schema="inventory")
