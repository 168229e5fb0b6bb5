-- Compare and set: only where the text still has the hash that was embedded, and model and expression are the wanted ones.
-- The text is made of the asked rows alone, whichever way the planner joins them: another row's may raise an error.
-- The staged rows are of this very savepoint, so that their xmin will be that of the rows that are written.
UPDATE {table}
SET {column} = our_stage.our_vector,
    {hash_column} = our_asked.our_hash,
    {model_column} = %(model)s,
    {time_column} = clock_timestamp(),
    {digest_column} = our_asked.our_digest || xidsend(our_stage.xmin)
FROM unnest({key_arrays}, %(ords)s::integer[], %(hashes)s::bytea[], %(digests)s::bytea[])
    AS our_asked ({key_names}, our_ord, our_hash, our_digest)
JOIN {stage} AS our_stage USING (our_ord)
WHERE {key_match}
    AND CASE WHEN {key_match} THEN sha256(convert_to(({text}
        )::text, 'UTF8')) = our_asked.our_hash END
    AND EXISTS (
        SELECT FROM vectrue.targets AS wanted
        WHERE wanted.table_name = %(table)s AND wanted.column_name = %(column)s
            AND wanted.model = %(model)s AND wanted.dimensions = %(dimensions)s AND wanted.text_digest = {text_digest}
    )
RETURNING our_asked.our_ord
