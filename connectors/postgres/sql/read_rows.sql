-- Rows by key as they stand, and the snapshot of this very statement. One line per key asked for.
SELECT pg_current_snapshot()::text, asked.embedsync_ord::integer, found.*
FROM unnest({key_arrays}) WITH ORDINALITY AS asked ({key_names}, embedsync_ord)
LEFT JOIN LATERAL (
    SELECT
        coalesce(doc.text, '') AS text,
        coalesce(doc.text !~ {not_blank}, true) AS blank,
        sha256(convert_to(doc.text, 'UTF8')) AS hash,
        doc.stored_hash,
        doc.stored_model,
        doc.vector,
        EXISTS (
            SELECT FROM embedsync.quarantine AS q
            WHERE q.table_name = {table_literal} AND q.column_name = {column_literal} AND q.key = doc.key
                AND q.model = %(model)s AND q.hash = sha256(convert_to(doc.text, 'UTF8'))
        ) AS quarantined
    FROM (
        SELECT
            {doc}
        FROM {table}
        WHERE {key_match}
        OFFSET 0 -- keeps the planner from evaluating the text once per column above
    ) AS doc
) AS found ON true
