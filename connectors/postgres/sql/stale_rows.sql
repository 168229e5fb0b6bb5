-- Rows that a replay would make true, and what tells one that stayed so from one that became so again.
SELECT doc.key, {row_state} AS state, sha256(convert_to(doc.text, 'UTF8')) AS hash, doc.stored_hash, doc.stored_model
FROM (
    SELECT
        {doc}
    FROM {table}{tried}
    OFFSET 0 -- keeps the planner from evaluating the text once per use above
) AS doc
CROSS JOIN (SELECT %(model)s::text AS model) AS wanted
WHERE {row_state} IN ('missing', 'stale_text', 'stale_model')
LIMIT %(limit)s
