-- Rows by key as they stand, and the snapshot of this very statement. One line per key asked for.
SELECT pg_current_snapshot()::text, asked.embedsync_ord::integer, found.*
FROM unnest({key_arrays}) WITH ORDINALITY AS asked ({key_names}, embedsync_ord)
LEFT JOIN LATERAL (
    SELECT
        coalesce(doc.text, '') AS text,
        coalesce(doc.text !~ '[^[:space:]]', true) AS blank,
        sha256(convert_to(doc.text, 'UTF8')) AS hash,
        doc.stored_hash,
        doc.stored_model,
        doc.has_vector
    FROM (
        SELECT
            ({text}
            )::text AS text,
            {hash_column} AS stored_hash,
            {model_column} AS stored_model,
            {column} IS NOT NULL AS has_vector
        FROM {table}
        WHERE {key_match}
        OFFSET 0 -- keeps the planner from evaluating the text once per column above
    ) AS doc
) AS found ON true
