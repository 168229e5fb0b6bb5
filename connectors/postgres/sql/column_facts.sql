-- The vector column as declared and as filled, and the indexes on it. `held`: dimensions of a thousand vectors. Whether an
-- index is being built: what other roles build shows no details, so a build's lock on the table counts as well.
SELECT
    (SELECT att.atttypmod FROM pg_attribute AS att
     WHERE att.attrelid = %(oid)s AND att.attname = %(column)s AND NOT att.attisdropped) AS declared,
    (SELECT coalesce(array_agg(DISTINCT {vector_dims}(sample.vector)), '{{}}')
     FROM (SELECT {column} AS vector FROM {table} WHERE {column} IS NOT NULL LIMIT 1000) AS sample) AS held,
    (SELECT coalesce(jsonb_agg(jsonb_build_object(
        'name', idx.indexrelid::regclass::text,
        'valid', idx.indisvalid,
        'building', NOT idx.indisvalid AND (
            EXISTS (SELECT FROM pg_stat_progress_create_index AS build WHERE build.index_relid = idx.indexrelid)
            OR EXISTS (SELECT FROM pg_locks AS held WHERE held.relation = idx.indrelid AND held.granted
                       AND held.mode = 'ShareUpdateExclusiveLock')
        ),
        'cosine', pg_get_indexdef(idx.indexrelid) LIKE '%%cosine_ops%%'
    ) ORDER BY idx.indexrelid), '[]')
     FROM pg_index AS idx
     JOIN pg_attribute AS att ON att.attrelid = idx.indrelid AND att.attnum = ANY (idx.indkey)
     WHERE idx.indrelid = %(oid)s AND att.attname = %(column)s) AS indexes
