-- The nearest rows by cosine distance, among those whose vector the wanted model made; whether the vector is of the row's
-- text as it is now is asked of the rows found, not of all that were compared.
SELECT nearest.key, nearest.text, nearest.similarity, nearest.embedded_at,
    coalesce(nearest.hash = sha256(convert_to(nearest.text, 'UTF8')), false) AS is_current
FROM (
    SELECT ARRAY[{keys_as_text}] AS key, ({text}
        )::text AS text, 1 - ({column} <=> %(query)s::vector) AS similarity, {time_column} AS embedded_at,
        {hash_column} AS hash
    FROM {table}
    WHERE {model_column} = %(model)s
    ORDER BY {column} <=> %(query)s::vector
    LIMIT %(limit)s
) AS nearest
