-- The next keys of a replay, in the order of the primary key, after the last one enumerated.
SELECT doc.key
FROM (
    SELECT
        ({text}
        )::text AS text,
        ARRAY[{keys_as_text}] AS key,
        {column} IS NOT NULL AS vector,
        {hash_column} AS stored_hash,
        {model_column} AS stored_model
    FROM {table}
    WHERE {after_cursor}
        AND {filters}
    ORDER BY {keys}
) AS doc
CROSS JOIN (SELECT %(model)s::text AS model) AS wanted
WHERE {wanted_states}
LIMIT %(limit)s
