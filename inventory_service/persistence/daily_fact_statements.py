"""The SQL of the daily facts: counting, and comparing them with the ledger.

`reasons` and `columns` pair each reason of a movement with the column in which it counts; a reason that only a newer
build knows is adjusted.
"""

from sqlalchemy import text

UNCOUNTED = text("SELECT EXISTS (SELECT FROM inventory.uncounted_movement)")

# A note is there from the commit of its movement until it is counted: what was made before the oldest one, or
# before now where there is none, is in the facts. A position in the ledger could not say so, since movements
# become visible in another order than that of their numbers and times.
THROUGH_TIME = text("SELECT COALESCE(min(create_time), now()) FROM inventory.uncounted_movement")

# The notes go in the statement that counts them: each counts once, whatever happens.
COUNT = text("""
    WITH note AS (
        DELETE FROM inventory.uncounted_movement WHERE ctid = ANY(ARRAY(
            SELECT ctid FROM inventory.uncounted_movement ORDER BY create_time, movement_id LIMIT :most))
        RETURNING (create_time AT TIME ZONE 'UTC')::date AS day, sku, status, platform, reason, delta
    ), unit AS (
        SELECT day, sku, status, platform,
            COALESCE(sum(delta) FILTER (WHERE column_name = 'received_quantity'), 0) AS received,
            COALESCE(-sum(delta) FILTER (WHERE column_name = 'sold_quantity'), 0) AS sold,
            COALESCE(sum(delta) FILTER (WHERE column_name = 'returned_quantity'), 0) AS returned,
            COALESCE(sum(delta) FILTER (WHERE COALESCE(column_name, 'adjusted_quantity') = 'adjusted_quantity'), 0)
                AS adjusted
        FROM note LEFT JOIN unnest(CAST(:reasons AS text[]), CAST(:columns AS text[]))
            AS meaning (reason, column_name) USING (reason)
        GROUP BY day, sku, status, platform
    ), stock AS (
        INSERT INTO analytics.daily_stock_fact AS fact (day, sku, received_quantity, sold_quantity,
            returned_quantity, adjusted_quantity)
        SELECT day, sku, sum(received), sum(sold), sum(returned), sum(adjusted)
        FROM unit GROUP BY day, sku
        ON CONFLICT (day, sku) DO UPDATE SET
            received_quantity = fact.received_quantity + excluded.received_quantity,
            sold_quantity = fact.sold_quantity + excluded.sold_quantity,
            returned_quantity = fact.returned_quantity + excluded.returned_quantity,
            adjusted_quantity = fact.adjusted_quantity + excluded.adjusted_quantity
    ), status AS (
        INSERT INTO analytics.daily_status_fact AS fact (day, status, platform, received_quantity,
            sold_quantity, returned_quantity, adjusted_quantity)
        SELECT day, status, platform, sum(received), sum(sold), sum(returned), sum(adjusted)
        FROM unit GROUP BY day, status, platform
        ON CONFLICT (day, status, platform) DO UPDATE SET
            received_quantity = fact.received_quantity + excluded.received_quantity,
            sold_quantity = fact.sold_quantity + excluded.sold_quantity,
            returned_quantity = fact.returned_quantity + excluded.returned_quantity,
            adjusted_quantity = fact.adjusted_quantity + excluded.adjusted_quantity
    )
    SELECT count(*) FROM note
""")

NAMES = text("""
    (SELECT sku FROM inventory.stock WHERE sku > :after ORDER BY sku LIMIT :size)
    UNION
    (SELECT sku FROM inventory.removed_stock WHERE sku > :after ORDER BY sku LIMIT :size)
    ORDER BY sku LIMIT :size
""")

# One statement sees ledger, notes and facts at one instant. What is noted and not counted is on its way. Of an
# archived month the ledger has at most what came late.
DIFFERENCES_BY_STOCK = text("""
    WITH meaning AS (
        SELECT * FROM unnest(CAST(:reasons AS text[]), CAST(:columns AS text[])) AS meaning (reason, column_name)
    ), name AS (
        SELECT id AS stock_id, sku FROM inventory.stock WHERE sku = ANY(CAST(:skus AS text[]))
        UNION ALL
        SELECT stock_id, sku FROM inventory.removed_stock WHERE sku = ANY(CAST(:skus AS text[]))
    ), entered AS (
        SELECT sku, (create_time AT TIME ZONE 'UTC')::date AS day,
            COALESCE(column_name, 'adjusted_quantity') AS column_name,
            sum(CASE column_name WHEN 'sold_quantity' THEN -delta ELSE delta END) AS units
        FROM name JOIN inventory.stock_movement USING (stock_id) LEFT JOIN meaning USING (reason)
        GROUP BY 1, 2, 3
    ), stated AS (
        SELECT sku, day, column_name, sum(units) AS units FROM (
            SELECT sku, day, column_name, units
            FROM analytics.daily_stock_fact CROSS JOIN LATERAL (VALUES
                ('received_quantity', received_quantity), ('sold_quantity', sold_quantity),
                ('returned_quantity', returned_quantity), ('adjusted_quantity', adjusted_quantity)
            ) AS value (column_name, units)
            WHERE sku = ANY(CAST(:skus AS text[]))
            UNION ALL
            SELECT sku, (create_time AT TIME ZONE 'UTC')::date, COALESCE(column_name, 'adjusted_quantity'),
                CASE column_name WHEN 'sold_quantity' THEN -delta ELSE delta END
            FROM inventory.uncounted_movement LEFT JOIN meaning USING (reason)
            WHERE sku = ANY(CAST(:skus AS text[]))
        ) AS part GROUP BY 1, 2, 3
    )
    SELECT sku, day, column_name, COALESCE(stated.units, 0) AS recorded, COALESCE(entered.units, 0) AS counted
    FROM stated FULL JOIN entered USING (sku, day, column_name)
    WHERE COALESCE(stated.units, 0) <> COALESCE(entered.units, 0)
        AND NOT EXISTS (SELECT FROM inventory.archived_month WHERE month = date_trunc('month', day))
    ORDER BY sku, day, column_name
""")

NEXT_DAY = text("""
    SELECT LEAST((SELECT min(day) FROM analytics.daily_stock_fact WHERE day > :after),
        (SELECT min(day) FROM analytics.daily_status_fact WHERE day > :after))
""")

DIFFERENCES_BY_STATUS = text("""
    WITH fact AS (
        SELECT true AS stated, received_quantity, sold_quantity, returned_quantity, adjusted_quantity
        FROM analytics.daily_status_fact WHERE day = :day
        UNION ALL
        SELECT false, received_quantity, sold_quantity, returned_quantity, adjusted_quantity
        FROM analytics.daily_stock_fact WHERE day = :day
    ), total AS (
        SELECT column_name, COALESCE(sum(units) FILTER (WHERE stated), 0) AS recorded,
            COALESCE(sum(units) FILTER (WHERE NOT stated), 0) AS counted
        FROM fact CROSS JOIN LATERAL (VALUES
            ('received_quantity', received_quantity), ('sold_quantity', sold_quantity),
            ('returned_quantity', returned_quantity), ('adjusted_quantity', adjusted_quantity)
        ) AS value (column_name, units)
        GROUP BY 1
    )
    SELECT * FROM total WHERE recorded <> counted ORDER BY column_name
""")
