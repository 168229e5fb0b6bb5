-- The vector column as declared and as filled, and the indexes on it. `held`: dimensions of a thousand vectors.
SELECT
    (SELECT att.atttypmod FROM pg_attribute AS att
     WHERE att.attrelid = %(oid)s AND att.attname = %(column)s AND NOT att.attisdropped) AS declared,
    (SELECT coalesce(array_agg(DISTINCT {vector_dims}(sample.vector)), '{{}}')
     FROM (SELECT {column} AS vector FROM {table} WHERE {column} IS NOT NULL LIMIT 1000) AS sample) AS held,
    (SELECT coalesce(jsonb_agg(jsonb_build_object('name', idx.indexrelid::regclass::text, 'valid', idx.indisvalid)
                               ORDER BY idx.indexrelid), '[]')
     FROM pg_index AS idx
     JOIN pg_attribute AS att ON att.attrelid = idx.indrelid AND att.attnum = ANY (idx.indkey)
     WHERE idx.indrelid = %(oid)s AND att.attname = %(column)s) AS indexes
