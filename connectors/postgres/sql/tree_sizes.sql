-- Bytes and rows of a table with all its partitions, of those that hold rows: `rows` NULL where one was never counted, unless
-- it has no page; `spaces`: the tablespaces that they are in, 0 the database's own.
WITH RECURSIVE tree AS (
    SELECT %(oid)s::oid AS oid
    UNION
    SELECT child.inhrelid FROM tree JOIN pg_inherits AS child ON child.inhparent = tree.oid
), leaf AS (
    SELECT class.oid, class.reltuples, class.reltablespace, pg_relation_size(class.oid) AS pages, pg_table_size(class.oid) AS bytes
    FROM tree
    JOIN pg_class AS class ON class.oid = tree.oid
    WHERE class.relkind IN ('r', 'm')
)
SELECT
    CASE WHEN bool_or(bytes IS NULL) THEN NULL ELSE coalesce(sum(bytes), 0)::bigint END AS bytes,
    CASE
        WHEN bool_or(reltuples < 0 AND coalesce(pages, 1) > 0) THEN NULL
        ELSE coalesce(sum(greatest(reltuples, 0)), 0)::bigint
    END AS rows,
    count(*) AS leaves,
    coalesce(array_agg(DISTINCT reltablespace::bigint), '{}') AS spaces
FROM leaf
