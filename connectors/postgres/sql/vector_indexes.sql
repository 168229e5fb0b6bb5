-- The indexes that read a vector column or its provenance, whether as a plain column or within an expression or a condition,
-- of a table and of all that inherit from it: partitions, and partitions of these. `level`: 0 is the table itself.
WITH RECURSIVE tree AS (
    SELECT %(oid)s::oid AS oid, 0 AS level
    UNION
    SELECT child.inhrelid, tree.level + 1 FROM tree JOIN pg_inherits AS child ON child.inhparent = tree.oid
)
SELECT
    idx.indexrelid,
    class.relname,
    space.nspname,
    owner.relname,
    idx.indrelid,
    min(tree.level),
    class.relkind = 'I' AS framed,
    (SELECT frame.inhparent FROM pg_inherits AS frame WHERE frame.inhrelid = idx.indexrelid) AS parent,
    pg_get_indexdef(idx.indexrelid),
    idx.indisvalid AND idx.indisready AND idx.indislive AS valid,
    CASE WHEN class.relkind = 'I' THEN 0 ELSE pg_relation_size(idx.indexrelid) END AS bytes,
    (SELECT spcname FROM pg_tablespace WHERE oid = class.reltablespace) AS tablespace,
    (SELECT quote_ident(con.conname) FROM pg_constraint AS con
     WHERE con.conindid = idx.indexrelid AND con.contype IN ('u', 'x', 'p') LIMIT 1) AS held_by,
    EXISTS (
        SELECT FROM pg_stat_progress_create_index AS build
        WHERE build.datname = current_database() AND (build.index_relid = idx.indexrelid OR (
            build.index_relid IS NULL AND NOT idx.indisvalid AND EXISTS ( -- another role's build shows no details
                SELECT FROM pg_locks AS held
                WHERE held.pid = build.pid AND held.relation = idx.indrelid AND held.mode = 'ShareUpdateExclusiveLock'
            )
        ))
    ) AS building
FROM tree
JOIN pg_index AS idx ON idx.indrelid = tree.oid
JOIN pg_class AS class ON class.oid = idx.indexrelid
JOIN pg_class AS owner ON owner.oid = idx.indrelid
JOIN pg_namespace AS space ON space.oid = class.relnamespace
WHERE EXISTS (
    SELECT FROM pg_depend AS dep
    JOIN pg_attribute AS att ON att.attrelid = dep.refobjid AND att.attnum = dep.refobjsubid
    WHERE dep.classid = 'pg_class'::regclass AND dep.objid = idx.indexrelid AND dep.refclassid = 'pg_class'::regclass
        AND dep.refobjid = idx.indrelid AND att.attname = ANY (%(columns)s) AND NOT att.attisdropped
)
OR EXISTS ( -- a constraint stands between its index and the columns
    SELECT FROM pg_attribute AS att
    WHERE att.attrelid = idx.indrelid AND att.attnum = ANY (idx.indkey) AND att.attname = ANY (%(columns)s)
)
GROUP BY idx.indexrelid, class.oid, owner.oid, space.oid, idx.indrelid, idx.indisvalid, idx.indisready, idx.indislive
ORDER BY min(tree.level), space.nspname, owner.relname, class.relname
