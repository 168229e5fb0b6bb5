-- Other questions about rows and columns: what is wanted, how long vectors are, which rows are large.

-- name: wanted_target
-- What the database wants in a vector column. The row as JSON, since a schema that `init` has not brought up to date yet
-- has no column `frozen`.
SELECT model, dimensions, coalesce((to_jsonb(target) ->> 'frozen')::boolean, false), right(to_jsonb(target) ->> 'text_digest', -2)
FROM vectrue.targets AS target
WHERE table_name = %(table)s AND column_name = %(column)s

-- name: column_facts
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

-- name: other_rows
-- Keys of rows beside the asked ones that nobody holds, wherever in the table: of about sixteen of its pages.
SELECT ARRAY[{keys_as_text}]
FROM {table} TABLESAMPLE SYSTEM (least(100, 100 * 16 * 8192.0 / greatest(pg_relation_size(%(relation)s::regclass), 1)))
WHERE NOT EXISTS (SELECT FROM unnest({key_arrays}) AS our_asked ({key_names}) WHERE {key_match})
LIMIT 64
FOR NO KEY UPDATE SKIP LOCKED

-- name: try_row
-- A write like any other, to be taken back: whether the table takes it. The vector is another row's, or none.
UPDATE {table}
SET {column} = {vector}, {hash_column} = sha256(''), {model_column} = %(model)s, {time_column} = clock_timestamp(),
    {digest_column} = sha256('')
FROM unnest({key_arrays}) AS our_asked ({key_names})
WHERE {key_match}
RETURNING true

-- name: large_columns
-- Columns of a table that may be long, and that this role may read. octet_length of a text or bytea reads no content.
SELECT att.attname, att.atttypid IN ('text'::regtype, 'varchar'::regtype, 'bpchar'::regtype, 'bytea'::regtype)
FROM pg_attribute AS att
WHERE att.attrelid = to_regclass(%(table)s) AND att.attnum > 0 AND NOT att.attisdropped AND att.attlen = -1
    AND has_column_privilege(att.attrelid, att.attnum, 'SELECT')
ORDER BY att.attnum
