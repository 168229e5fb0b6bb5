-- One pass over a column's rows: how many are in which state, and how large are the texts that need a vector.
SELECT
    count(*) AS rows,
    count(*) FILTER (WHERE state = 'current') AS current,
    count(*) FILTER (WHERE state = 'missing') AS missing,
    count(*) FILTER (WHERE state = 'stale_text') AS stale_text,
    count(*) FILTER (WHERE state = 'stale_model') AS stale_model,
    count(*) FILTER (WHERE state = 'blank') AS blank,
    count(*) FILTER (WHERE state = 'quarantined') AS quarantined,
    count(*) FILTER (WHERE state = 'unreadable') AS unreadable,
    avg(bytes) FILTER (WHERE state <> 'blank')::double precision AS mean_bytes,
    max(bytes) FILTER (WHERE state <> 'blank') AS largest_bytes
FROM (
    SELECT octet_length(doc.text) AS bytes, {row_state} AS state
    FROM (
        SELECT
            {doc}
        FROM {table} {sample}{tried}
        WHERE {filters}
        OFFSET 0 -- keeps the planner from evaluating the text once per use above
    ) AS doc
    CROSS JOIN (SELECT %(model)s::text AS model) AS wanted
    OFFSET 0 -- likewise for the state
) AS seen
