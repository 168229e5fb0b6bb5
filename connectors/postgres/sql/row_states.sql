-- The state of rows by key; NULL for a key without a row.
SELECT our_asked.our_ord::integer, found.state
FROM unnest({key_arrays}) WITH ORDINALITY AS our_asked ({key_names}, our_ord)
LEFT JOIN LATERAL (
    SELECT {row_state} AS state
    FROM (
        SELECT
            {doc}
        FROM {table}{tried}
        WHERE {key_match}
        OFFSET 0 -- keeps the planner from evaluating the text more than once
    ) AS doc
    CROSS JOIN (SELECT %(model)s::text AS model) AS wanted
) AS found ON true
