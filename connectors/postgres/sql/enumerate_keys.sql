-- The next keys of a replay, in the order of the primary key, after the last one enumerated.
SELECT doc.key
FROM (
    SELECT
        {doc}
    FROM {table}{tried}
    WHERE {after_cursor}
        AND {filters}
    ORDER BY {keys}
) AS doc
CROSS JOIN (SELECT %(model)s::text AS model) AS wanted
WHERE {wanted_states}
LIMIT %(limit)s
