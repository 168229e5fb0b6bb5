-- The nearest rows by cosine distance, among those whose vector the wanted model made.
SELECT ARRAY[{keys_as_text}] AS key, ({text}
    )::text AS text, 1 - ({column} <=> %(query)s::vector) AS similarity, {time_column} AS embedded_at
FROM {table}
WHERE {model_column} = %(model)s
ORDER BY {column} <=> %(query)s::vector
LIMIT %(limit)s
