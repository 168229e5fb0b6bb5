-- A row without text has no vector: only where the text is still blank. The text is made of the asked rows
-- alone, whichever way the planner joins them: another row's may raise an error.
UPDATE {table}
SET {column} = NULL, {hash_column} = NULL, {model_column} = NULL, {time_column} = NULL,
    {digest_column} = NULL
FROM unnest({key_arrays}, %(ords)s::integer[]) AS our_asked ({key_names}, our_ord)
WHERE {key_match}
    AND CASE WHEN {key_match} THEN coalesce(left(({text}
        )::text, {blank_within}) !~ {not_blank}, true) END
    AND EXISTS (
        SELECT FROM vectrue.targets AS wanted
        WHERE wanted.table_name = %(table)s AND wanted.column_name = %(column)s
            AND wanted.model = %(model)s AND wanted.dimensions = %(dimensions)s AND wanted.text_digest = {text_digest}
    )
RETURNING our_asked.our_ord
