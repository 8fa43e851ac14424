"""What others have built upon our objects, and the engine would not let us change, or would drop, beneath it."""

from collections.abc import Sequence

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from inventory_service.adoption.catalogue import Mend
from inventory_service.adoption.expectations import VIEW
from servicekit.adoption.shape import Difference, Verdict

# Upon a column whose type changes: all that the engine does not make again by itself. An index or a check that
# compares an enum with a word of it can be made again for no other type. Upon the view, which is replaced: everything.
# The engine keeps what a view is built upon with the rule that makes it one.
_IN_THE_WAY = text("""
WITH ours AS (
    SELECT a.attrelid AS relation, a.attnum AS part, r.relname, a.attname::text AS column, a.atttypid AS type
    FROM unnest(CAST(:tables AS text[]), CAST(:columns AS text[])) AS c (name, attribute)
    JOIN pg_class r ON r.oid = to_regclass('inventory.' || c.name)
    JOIN pg_attribute a ON a.attrelid = r.oid AND a.attname = c.attribute
    UNION ALL
    SELECT oid, 0, relname, '*', reltype FROM pg_class WHERE oid = to_regclass('inventory.' || :view)
), dependent AS (
    SELECT ours.relname, ours.column, d.classid, d.objid, d.objsubid FROM ours JOIN pg_depend d
    ON d.refclassid = 'pg_class'::regclass AND d.refobjid = ours.relation AND d.refobjsubid = ours.part AND part > 0
    WHERE d.classid NOT IN ('pg_class'::regclass, 'pg_constraint'::regclass, 'pg_statistic_ext'::regclass)
    AND NOT EXISTS (SELECT FROM pg_attrdef own WHERE d.classid = 'pg_attrdef'::regclass AND own.oid = d.objid
        AND own.adrelid = ours.relation AND own.adnum = ours.part)
    UNION
    SELECT ours.relname, ours.column, d.classid, d.objid, d.objsubid FROM ours JOIN pg_depend d
    ON d.refclassid = 'pg_type'::regclass AND d.refobjid = ours.type AND part > 0
    WHERE EXISTS (SELECT FROM pg_index i WHERE d.classid = 'pg_class'::regclass AND i.indexrelid = d.objid
        AND i.indrelid = ours.relation)
    OR EXISTS (SELECT FROM pg_constraint c WHERE d.classid = 'pg_constraint'::regclass AND c.oid = d.objid
        AND c.conrelid = ours.relation)
    UNION
    SELECT ours.relname, ours.column, d.classid, d.objid, d.objsubid FROM ours JOIN pg_depend d
    ON d.deptype = 'n' AND part = 0 AND ((d.refclassid = 'pg_class'::regclass AND d.refobjid = ours.relation)
        OR (d.refclassid = 'pg_type'::regclass AND d.refobjid = ours.type))
)
SELECT DISTINCT relname, "column",
    CASE type WHEN 'rule' THEN format('view %I.%I', names[1], names[2]) ELSE type || ' ' || identity END AS object
FROM dependent
CROSS JOIN LATERAL pg_identify_object(classid, objid, objsubid) AS i (type, schema, name, identity)
CROSS JOIN LATERAL pg_identify_object_as_address(classid, objid, objsubid) AS a (kind, names, arguments)
WHERE NOT (type = 'rule' AND names[1:2] = ARRAY['inventory', :view]) ORDER BY 1, 2, 3
""")

_OUTSIDE = text("""
SELECT DISTINCT CASE type WHEN 'rule' THEN format('view %I.%I', names[1], names[2]) ELSE type || ' ' || identity END
FROM pg_depend d
CROSS JOIN LATERAL pg_identify_object_as_address(d.refclassid, d.refobjid, d.refobjsubid) AS r (kind, there, arguments)
CROSS JOIN LATERAL pg_identify_object(d.classid, d.objid, d.objsubid) AS i (type, schema, name, identity)
CROSS JOIN LATERAL pg_identify_object_as_address(d.classid, d.objid, d.objsubid) AS a (kind, names, arguments)
WHERE d.deptype IN ('n', 'a') AND d.refclassid IN ('pg_class'::regclass, 'pg_type'::regclass, 'pg_proc'::regclass)
AND split_part(there[1], '.', 1) = 'inventory'
AND (split_part(names[1], '.', 1) <> 'inventory' OR d.classid = 'pg_publication_rel'::regclass)
AND NOT EXISTS (SELECT FROM pg_constraint WHERE d.classid = 'pg_constraint'::regclass AND oid = d.objid
    AND contype = 'f')
ORDER BY 1
""")


async def in_the_way(connection: AsyncConnection, mends: Sequence[Mend]) -> list[Difference]:
    """Everything that keeps an adoption from changing columns' types or the view, each by kind, schema and name."""
    retyped = [mend for mend in mends if mend.changes_type]
    values = {
        "tables": [mend.table for mend in retyped],
        "columns": [mend.subject for mend in retyped],
        "view": VIEW,
    }
    return [
        Difference(
            *(row.relname, row.column, Verdict.STOPS),
            f"has {row.object} built upon it; drop that before, and make it again after",
        )
        for row in await connection.execute(_IN_THE_WAY, values)
    ]


async def outside(connection: AsyncConnection) -> list[str]:
    """Everything of other schemas that would go if the schema inventory went; foreign keys, which come back, aside."""
    return list((await connection.execute(_OUTSIDE)).scalars())
