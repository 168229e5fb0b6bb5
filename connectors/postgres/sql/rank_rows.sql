-- Keys and texts of the nearest rows by cosine distance, for a comparison of columns: what a search reads, no more.
SELECT ARRAY[{keys_as_text}] AS key, left(({text}
    )::text, {shown_within}) AS text
FROM {table}{tried}
WHERE {model_column} = %(model)s
ORDER BY {column} <=> %(query)s::vector
LIMIT %(limit)s
