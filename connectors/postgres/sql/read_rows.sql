-- Rows by key as they stand, and the snapshot of this very statement. One line per key asked for.
SELECT pg_current_snapshot()::text, our_asked.our_ord::integer, found.*
FROM unnest({key_arrays}) WITH ORDINALITY AS our_asked ({key_names}, our_ord)
LEFT JOIN LATERAL (
    SELECT
        coalesce(left(doc.text, %(characters)s), '') AS text,
        coalesce(left(doc.text, {blank_within}) !~ {not_blank}, true) AS blank,
        sha256(convert_to(doc.text, 'UTF8')) AS hash,
        doc.stored_hash,
        doc.stored_model,
        doc.vector,
        EXISTS (
            SELECT FROM vectrue.quarantine AS our_line
            WHERE our_line.table_name = {table_literal} AND our_line.column_name = {column_literal} AND our_line.key = doc.key
                AND our_line.model = %(model)s AND our_line.hash = sha256(convert_to(doc.text, 'UTF8'))
        ) AS quarantined,
        doc.tied
    FROM (
        SELECT
            {doc}
        FROM {table}{tried}
        WHERE {key_match}
        OFFSET 0 -- keeps the planner from evaluating the text once per column above
    ) AS doc
) AS found ON true
