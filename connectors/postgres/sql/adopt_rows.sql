-- Say of vectors that can still be adopted that the wanted model made them from the text as it stands, if that model is
-- still wanted. Hash, text and vector are of one row version: the rows are locked by the statement before this one.
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
