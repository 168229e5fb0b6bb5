-- Compare and set: only where the text still has the hash that was embedded, and the model is still the wanted one.
UPDATE {table}
SET {column} = stage.embedsync_vector,
    {hash_column} = asked.embedsync_hash,
    {model_column} = %(model)s,
    {time_column} = clock_timestamp()
FROM unnest({key_arrays}, %(ords)s::integer[], %(hashes)s::bytea[])
    AS asked ({key_names}, embedsync_ord, embedsync_hash)
JOIN {stage} AS stage USING (embedsync_ord)
WHERE {key_match}
    AND sha256(convert_to(({text}
        )::text, 'UTF8')) = asked.embedsync_hash
    AND EXISTS (
        SELECT FROM embedsync.targets AS wanted
        WHERE wanted.table_name = %(table)s AND wanted.column_name = %(column)s
            AND wanted.model = %(model)s AND wanted.dimensions = %(dimensions)s
    )
RETURNING embedsync_ord
