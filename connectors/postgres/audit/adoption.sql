-- Adopt vectors that the application made.

-- name: adoptable
-- Fragment over `audited`: what keeps a vector without provenance from being adopted; 'adoptable' if nothing does.
CASE
    WHEN audited.state = 'quarantined' THEN 'quarantined'
    WHEN audited.state <> 'stale_model' THEN 'blank' -- a vector and no text
    WHEN audited.dimensions <> audited.wanted_dimensions THEN 'wrong_dimension'
    WHEN audited.norm IN ('NaN', 'Infinity') THEN 'not_finite'
    WHEN abs(audited.norm - 1) > %(tolerance)s THEN 'not_unit_length'
    WHEN audited.recent THEN 'recent'
    ELSE 'adoptable'
END

-- name: horizon
-- Every transaction with an id below the first number is over, and what it wrote lies before the second one in the log.
-- The snapshot is taken before the position is read. The insert position counts, since a commit may be visible before its
-- record is flushed.
SELECT
    pg_snapshot_xmin(pg_current_snapshot())::text::bigint,
    pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint

-- name: unowned
-- Fragment: vectors without provenance.
{table}.{column} IS NOT NULL AND {table}.{hash_column} IS NULL AND {table}.{model_column} IS NULL

-- name: adoptable_rows
-- Vectors without provenance, counted by what keeps them from being adopted.
SELECT {adoptable} AS kind, count(*) FROM ({audited}) AS audited GROUP BY kind

-- name: adoptable_keys
-- Keys of vectors that can be adopted: all of them, or a uniform sample of the table.
SELECT audited.key FROM ({audited}) AS audited WHERE {adoptable} = 'adoptable' LIMIT %(limit)s

-- name: adopt_rows
-- Record that the wanted model made these vectors from the present text, if they can still be adopted and that model is still
-- wanted. Hash, text and vector are of one row version, since the statement before has locked the rows.
UPDATE {table}
SET {hash_column} = our_asked.our_hash, {model_column} = %(model)s, {time_column} = clock_timestamp(),
    {digest_column} = vectrue.vector_digest({table}.{column}) || xidsend(pg_current_xact_id()::xid)
FROM (
    SELECT audited.key AS our_key, {key_names}, sha256(convert_to(audited.text, 'UTF8')) AS our_hash
    FROM ({audited}) AS audited
    WHERE {adoptable} = 'adoptable'
) AS our_asked
WHERE {key_match}
    AND EXISTS (
        SELECT FROM vectrue.targets AS wanted
        WHERE wanted.table_name = %(table)s AND wanted.column_name = %(column)s
            AND wanted.model = %(model)s AND wanted.dimensions = %(dimensions)s AND wanted.text_digest = {text_digest}
    )
RETURNING our_asked.our_key
