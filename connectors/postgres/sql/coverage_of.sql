-- One column's line of the view vectrue.coverage.
SELECT
    wanted.table_name,
    wanted.column_name,
    wanted.model,
    wanted.dimensions,
    count(doc.key) AS rows,
    count(doc.key) FILTER (WHERE doc.state = 'current') AS current,
    count(doc.key) FILTER (WHERE doc.state = 'missing') AS missing,
    count(doc.key) FILTER (WHERE doc.state = 'stale_text') AS stale_text,
    count(doc.key) FILTER (WHERE doc.state = 'stale_model') AS stale_model,
    count(doc.key) FILTER (WHERE doc.state = 'blank') AS blank,
    count(doc.key) FILTER (WHERE doc.state = 'quarantined') AS quarantined,
    count(doc.key) FILTER (WHERE doc.state = 'unreadable') AS unreadable
FROM vectrue.targets AS wanted
LEFT JOIN LATERAL (
    SELECT doc.key, {row_state} AS state
    FROM (
        SELECT
            {doc}
        FROM {table}{tried}
        OFFSET 0 -- keeps the planner from evaluating the text once per use above
    ) AS doc
    OFFSET 0 -- likewise for the state
) AS doc ON true
WHERE wanted.table_name = {table_literal} AND wanted.column_name = {column_literal}
GROUP BY wanted.table_name, wanted.column_name, wanted.model, wanted.dimensions
