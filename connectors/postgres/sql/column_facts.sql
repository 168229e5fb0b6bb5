-- The vector column as declared and as filled, and the indexes on it, with those of its partitions that are not valid.
-- `held`: dimensions of a thousand vectors. `framed`: of a table with partitions, valid when its last part is there.
-- Whether an index is being built: what other roles build shows no details, so a build's lock on the table counts too.
WITH RECURSIVE tree AS (
    SELECT %(oid)s::oid AS oid
    UNION
    SELECT heir.inhrelid FROM tree JOIN pg_inherits AS heir ON heir.inhparent = tree.oid
)
SELECT
    (SELECT att.atttypmod FROM pg_attribute AS att
     WHERE att.attrelid = %(oid)s AND att.attname = %(column)s AND NOT att.attisdropped) AS declared,
    (SELECT coalesce(array_agg(DISTINCT {vector_dims}(sample.vector)), '{{}}')
     FROM (SELECT {column} AS vector FROM {table} WHERE {column} IS NOT NULL LIMIT 1000) AS sample) AS held,
    (SELECT coalesce(jsonb_agg(jsonb_build_object(
        'name', idx.indexrelid::regclass::text,
        'valid', idx.indisvalid,
        'framed', class.relkind = 'I',
        'building', NOT idx.indisvalid AND (
            EXISTS (SELECT FROM pg_stat_progress_create_index AS build WHERE build.index_relid = idx.indexrelid)
            OR EXISTS (SELECT FROM pg_locks AS held WHERE held.relation = idx.indrelid AND held.granted
                       AND held.mode = 'ShareUpdateExclusiveLock')
        ),
        'partial', idx.indpred IS NOT NULL,
        'cosine', pg_get_indexdef(idx.indexrelid) LIKE '%%cosine_ops%%'
    ) ORDER BY idx.indexrelid), '[]')
     FROM tree
     JOIN pg_index AS idx ON idx.indrelid = tree.oid
     JOIN pg_class AS class ON class.oid = idx.indexrelid
     JOIN pg_attribute AS att ON att.attrelid = idx.indrelid AND att.attnum = ANY (idx.indkey)
     WHERE att.attname = %(column)s
         AND (idx.indrelid = %(oid)s OR (NOT idx.indisvalid AND class.relkind = 'i'))) AS indexes
