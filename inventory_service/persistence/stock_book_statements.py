"""The SQL of a batch. Texts are fixed and take arrays, so that each is prepared once for batches of any size."""

from inventory_service.persistence.fixed import Fixed

# The rows that the commands can touch: the stocks named, those of the reservations named, and, where a stock looks
# short, those of holds upon it that are past their time, because to free such a hold later would lock out of order.
# Such holds are few, as long as they are swept; those of one stock may be many.
_TOUCHED = """
    SELECT id FROM inventory.stock WHERE sku = ANY(CAST(:skus AS text[]))
    UNION
    SELECT stock_id FROM inventory.reservation_line WHERE reservation_id = ANY(CAST(:ids AS text[]))
    UNION
    SELECT stock_id FROM inventory.reservation_line WHERE reservation_id IN (
        WITH due AS MATERIALIZED (
            SELECT reservation_id, expire_time FROM inventory.reservation
            WHERE state = 'HELD' AND expire_time <= statement_timestamp()
        )
        SELECT due.reservation_id
        FROM due
        JOIN inventory.reservation_line line USING (reservation_id)
        JOIN inventory.stock stock ON stock.id = line.stock_id
        JOIN unnest(CAST(:skus AS text[]), CAST(:units AS bigint[])) AS wanted (sku, units)
            ON wanted.sku = stock.sku AND wanted.units > stock.quantity - stock.reserved_quantity
        ORDER BY due.expire_time
        LIMIT 1000
    )
"""
_LEVELS = f"""
    SELECT id, sku, status, quantity, reserved_quantity, version FROM inventory.stock
    WHERE id IN ({_TOUCHED})
"""  # noqa: S608


# These lock the stocks, then the names: an id that no row bears yet can only be locked by name. A name that somebody
# else has is left out. The clock is read once all are locked: the transaction's own time is its start, and starts do
# not follow the order of locks.
LOCK = Fixed(f"""
    WITH level AS MATERIALIZED ({_LEVELS} ORDER BY id FOR UPDATE), named AS MATERIALIZED (
        SELECT array_agg(name) FILTER (
            WHERE NOT pg_try_advisory_xact_lock(hashtextextended(name, 0))
        ) AS locked_names
        FROM unnest(CAST(:names AS text[])) AS name
        WHERE (SELECT count(*) FROM level) >= 0
    )
    SELECT clock_timestamp() AS now, named.locked_names, CAST(NULL AS text[]) AS locked_skus, level.*
    FROM named LEFT JOIN level ON true
""")  # noqa: S608

# Names whose stocks are not to be had are let alone: whoever has these stocks will want them.
LOCK_FREE = Fixed(f"""
    WITH level AS MATERIALIZED ({_LEVELS} ORDER BY id FOR UPDATE SKIP LOCKED), locked AS MATERIALIZED (
        SELECT sku FROM inventory.stock WHERE id IN ({_TOUCHED}) AND id NOT IN (SELECT id FROM level)
    ), named AS MATERIALIZED (
        SELECT array_agg(name) FILTER (WHERE CASE
            WHEN name IN (
                SELECT line.name
                FROM unnest(CAST(:line_names AS text[]), CAST(:line_skus AS text[])) AS line (name, sku)
                JOIN locked USING (sku)
            ) THEN true
            ELSE NOT pg_try_advisory_xact_lock(hashtextextended(name, 0)) END
        ) AS locked_names
        FROM unnest(CAST(:names AS text[])) AS name
    )
    SELECT clock_timestamp() AS now, named.locked_names, ARRAY(SELECT sku FROM locked) AS locked_skus, level.*
    FROM named LEFT JOIN level ON true
""")  # noqa: S608

# Bounded: what one batch does not free of a great many, the next one does.
DUE_HOLDS = Fixed("""
    WITH due AS MATERIALIZED (
        SELECT reservation_id, expire_time FROM inventory.reservation
        WHERE state = 'HELD' AND expire_time <= :now
    )
    SELECT due.reservation_id
    FROM due
    JOIN inventory.reservation_line line USING (reservation_id)
    JOIN inventory.stock stock ON stock.id = line.stock_id AND stock.sku = ANY(CAST(:skus AS text[]))
    ORDER BY due.expire_time
    LIMIT 1000
""")

LOCK_RESERVATIONS = Fixed("""
    SELECT *, false AS locked FROM inventory.reservation WHERE reservation_id = ANY(CAST(:ids AS text[]))
    ORDER BY reservation_id FOR UPDATE
""")

LOCK_FREE_RESERVATIONS = Fixed("""
    WITH free AS MATERIALIZED (
        SELECT * FROM inventory.reservation WHERE reservation_id = ANY(CAST(:ids AS text[]))
        ORDER BY reservation_id FOR UPDATE SKIP LOCKED
    )
    SELECT *, false AS locked FROM free
    UNION ALL
    SELECT *, true FROM inventory.reservation WHERE reservation_id = ANY(CAST(:ids AS text[]))
        AND reservation_id NOT IN (SELECT reservation_id FROM free)
""")

# One statement for what a batch of reserves writes: each one costs a way to the database and back.
SAVE = Fixed("""
    WITH level_saved AS (
        UPDATE inventory.stock SET quantity = level.quantity, reserved_quantity = level.reserved_quantity,
            version = stock.version + 1, updated_at = :now
        FROM unnest(CAST(:stock_ids AS uuid[]), CAST(:quantities AS integer[]), CAST(:reserved AS integer[]))
            AS level (stock_id, quantity, reserved_quantity)
        WHERE stock.id = level.stock_id
    ), reservation_added AS (
        INSERT INTO inventory.reservation (reservation_id, holder, state, tombstone, created_by, ttl, create_time,
            expire_time, resolve_time, version)
        SELECT * FROM unnest(CAST(:ids AS text[]), CAST(:holders AS text[]), CAST(:states AS text[]),
            CAST(:tombstones AS boolean[]), CAST(:created_by AS text[]), CAST(:ttls AS interval[]),
            CAST(:create_times AS timestamptz[]), CAST(:expire_times AS timestamptz[]),
            CAST(:resolve_times AS timestamptz[]), CAST(:versions AS bigint[]))
    )
    INSERT INTO inventory.reservation_line (reservation_id, stock_id, quantity, committed_quantity, open)
    SELECT * FROM unnest(CAST(:line_ids AS text[]), CAST(:line_stock_ids AS uuid[]),
        CAST(:line_quantities AS integer[]), CAST(:line_committed AS integer[]), CAST(:line_open AS boolean[]))
""")

SAVE_RESERVATIONS = Fixed("""
    WITH reservation_saved AS (
        UPDATE inventory.reservation SET state = changed.state, expire_time = changed.expire_time,
            resolve_time = changed.resolve_time, version = changed.version
        FROM unnest(CAST(:ids AS text[]), CAST(:states AS text[]), CAST(:expire_times AS timestamptz[]),
            CAST(:resolve_times AS timestamptz[]), CAST(:versions AS bigint[]))
            AS changed (reservation_id, state, expire_time, resolve_time, version)
        WHERE reservation.reservation_id = changed.reservation_id
    )
    UPDATE inventory.reservation_line AS line SET committed_quantity = changed.committed, open = changed.open
    FROM unnest(CAST(:line_ids AS text[]), CAST(:line_stock_ids AS uuid[]), CAST(:line_committed AS integer[]),
        CAST(:line_open AS boolean[])) AS changed (reservation_id, stock_id, committed, open)
    WHERE line.reservation_id = changed.reservation_id AND line.stock_id = changed.stock_id
""")
