-- What the database wants in a column, how long its vectors are, and which rows are large.

-- name: wanted_target
-- What the database wants in a vector column. By way of JSON, since a schema that `init` has not updated yet may lack the
-- columns frozen and text_digest.
SELECT model, dimensions, coalesce((to_jsonb(target) ->> 'frozen')::boolean, false), right(to_jsonb(target) ->> 'text_digest', -2)
FROM vectrue.targets AS target
WHERE table_name = %(table)s AND column_name = %(column)s

-- name: column_facts
-- The vector column as declared and as filled, its indexes, and those of partitions that are not valid.
-- `held`: lengths of a thousand vectors. `framed`: the index of a table with partitions, valid once it has all its parts.
-- `building`: Postgres hides the details of another role's build, so a build's lock on the table counts too.
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

-- name: other_rows
-- Keys of rows that are not asked for and not locked, from about sixteen pages anywhere in the table.
SELECT ARRAY[{keys_as_text}]
FROM {table} TABLESAMPLE SYSTEM (least(100, 100 * 16 * 8192.0 / greatest(pg_relation_size(%(relation)s::regclass), 1)))
WHERE NOT EXISTS (SELECT FROM unnest({key_arrays}) AS our_asked ({key_names}) WHERE {key_match})
LIMIT 64
FOR NO KEY UPDATE SKIP LOCKED

-- name: try_row
-- A write like any other, to be rolled back: whether the table takes it. The vector is another row's, or NULL.
UPDATE {table}
SET {column} = {vector}, {hash_column} = sha256(''), {model_column} = %(model)s, {time_column} = clock_timestamp(),
    {digest_column} = sha256('')
FROM unnest({key_arrays}) AS our_asked ({key_names})
WHERE {key_match}
RETURNING true

-- name: large_columns
-- Columns of a table that may be long and that this role may read, and whether octet_length applies: it reads no content.
SELECT att.attname, att.atttypid IN ('text'::regtype, 'varchar'::regtype, 'bpchar'::regtype, 'bytea'::regtype)
FROM pg_attribute AS att
WHERE att.attrelid = to_regclass(%(table)s) AND att.attnum > 0 AND NOT att.attisdropped AND att.attlen = -1
    AND has_column_privilege(att.attrelid, att.attnum, 'SELECT')
ORDER BY att.attnum
