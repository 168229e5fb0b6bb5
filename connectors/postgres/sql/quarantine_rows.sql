-- Rows whose text the model cannot take, as long as they still have that text. The key is the table's own text form.
INSERT INTO embedsync.quarantine AS q (table_name, column_name, key, hash, model, reason, attempts)
SELECT {table_literal}, {column_literal}, ARRAY[{keys_as_text}], asked.embedsync_hash, %(model)s,
    asked.embedsync_reason, asked.embedsync_attempts
FROM unnest({key_arrays}, %(hashes)s::bytea[], %(reasons)s::text[], %(attempts)s::integer[])
    AS asked ({key_names}, embedsync_hash, embedsync_reason, embedsync_attempts)
JOIN {table} ON {key_match}
WHERE sha256(convert_to(({text}
    )::text, 'UTF8')) = asked.embedsync_hash
ON CONFLICT (table_name, column_name, key) DO UPDATE
SET hash = excluded.hash,
    model = excluded.model,
    reason = excluded.reason,
    attempts = CASE WHEN (q.hash, q.model) = (excluded.hash, excluded.model) THEN q.attempts ELSE 0 END + excluded.attempts,
    first_at = CASE WHEN (q.hash, q.model) = (excluded.hash, excluded.model) THEN q.first_at ELSE now() END,
    last_at = now()
