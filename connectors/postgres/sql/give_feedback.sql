-- What somebody thinks of a row that a search found; the last word counts. No line: no such search. Else whether it found that
-- row, and whether this says anything new.
WITH asked AS (
    SELECT query.id, EXISTS (
        SELECT FROM jsonb_array_elements(query.hits) AS hit
        WHERE hit ->> 'table' = %(table)s AND hit -> 'key' = to_jsonb(%(key)s::text[])
    ) AS found
    FROM vectrue.queries AS query
    WHERE query.id = %(query)s
),
given AS (
    INSERT INTO vectrue.feedback AS known (query_id, table_name, key, useful)
    SELECT id, %(table)s, %(key)s::text[], %(useful)s FROM asked WHERE found
    ON CONFLICT (query_id, table_name, key) DO UPDATE SET useful = excluded.useful, at = excluded.at
        WHERE known.useful <> excluded.useful
    RETURNING 1
)
SELECT found, EXISTS (SELECT FROM given) AS is_new FROM asked
