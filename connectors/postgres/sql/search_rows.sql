-- The nearest rows by cosine distance, among those whose vector the wanted model made. Found first, read afterwards: in one
-- step, a search without an index would make and hash the text of every row before it sorts them.
WITH our_asked AS MATERIALIZED (
    SELECT {keys_as_asked}, {distance} AS our_distance
    FROM {table}
    WHERE {model_column} = %(model)s AND {column} IS NOT NULL AND {condition}
    ORDER BY {order}
    LIMIT %(limit)s
)
SELECT
    ARRAY[{keys_as_text}] AS key,
    left(({text}
    )::text, {shown_within}) AS text,
    1 - our_asked.our_distance AS similarity,
    our_made.at AS embedded_at,
    extract(epoch FROM now() - our_made.at) AS age_seconds,
    {hash_column} = sha256(convert_to(({text}
    )::text, 'UTF8')) AND {tied} AS is_current
FROM our_asked
JOIN {table} ON {key_match}{tried}
CROSS JOIN LATERAL ( -- what an application wrote there may be no time that anybody can reckon with
    SELECT CASE WHEN {time_column} >= '1900-01-01' AND {time_column} < '9999-01-01' THEN {time_column} END AS at
) AS our_made
ORDER BY our_asked.our_distance
