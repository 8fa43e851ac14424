"""The SQL that appends to the JSON columns of `stock`, and changes an entry in its place.

The engine reads and writes in one statement, so that no entry is lost to a concurrent one. Older systems left
documents that are no list: such a one becomes the first entry.
"""

from sqlalchemy import text

ENTER_STATUS = text("""
    UPDATE inventory.stock SET status = :status, version = version + 1, updated_at = :now,
        status_history = CASE COALESCE(jsonb_typeof(status_history), 'null')
            WHEN 'array' THEN status_history WHEN 'null' THEN '[]' ELSE jsonb_build_array(status_history)
        END || jsonb_build_array(CAST(:entry AS jsonb))
    WHERE id = :stock_id
""")

ADD_LISTING = text("""
    UPDATE inventory.stock SET version = version + 1, updated_at = :now,
        listed_on_platforms = CASE COALESCE(jsonb_typeof(listed_on_platforms), 'null')
            WHEN 'array' THEN listed_on_platforms WHEN 'null' THEN '[]'
            ELSE jsonb_build_array(listed_on_platforms)
        END || jsonb_build_array(CAST(:entry AS jsonb))
    WHERE id = :stock_id
""")

CHANGE_LISTING = text("""
    UPDATE inventory.stock SET version = version + 1, updated_at = :now,
        listed_on_platforms = (
            SELECT jsonb_agg(
                CASE WHEN entry ->> 'platform' = :platform AND entry ->> 'listing_id' = :listing_id
                    AND entry ->> 'status' = 'active'
                THEN entry || CAST(:changes AS jsonb) ELSE entry END ORDER BY number)
            FROM jsonb_array_elements(listed_on_platforms) WITH ORDINALITY AS listing (entry, number))
    WHERE id = :stock_id
""")
