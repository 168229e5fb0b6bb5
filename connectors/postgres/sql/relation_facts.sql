-- Size of a table with its partitions: bytes, rows as last analysed (negative: never), indexes, whether one is over vectors.
WITH relations AS (
    SELECT class.oid, class.reltuples, class.relkind
    FROM pg_class AS class
    WHERE class.oid = %(table)s::regclass
        OR class.oid IN (SELECT relid FROM pg_partition_tree(%(table)s::regclass))
)
SELECT
    coalesce(sum(pg_relation_size(oid)), 0)::bigint AS heap_bytes,
    (CASE WHEN bool_or(reltuples < 0 AND relkind = 'r') THEN -1 ELSE sum(reltuples) FILTER (WHERE relkind = 'r') END)::double precision AS rows,
    (SELECT count(*) FROM pg_index WHERE indrelid = %(table)s::regclass) AS indexes,
    EXISTS (
        SELECT FROM pg_index AS index
        JOIN pg_class AS class ON class.oid = index.indexrelid
        JOIN pg_am AS method ON method.oid = class.relam
        WHERE index.indrelid IN (SELECT oid FROM relations) AND method.amname IN ('hnsw', 'ivfflat')
    ) AS vector_index
FROM relations
