-- Rows whose text the model cannot take, as long as they still have that text. The key is the table's own text form.
INSERT INTO vectrue.quarantine AS our_line (table_name, column_name, key, hash, model, reason, attempts)
SELECT {table_literal}, {column_literal}, ARRAY[{keys_as_text}], CASE WHEN {unreadable} THEN '' ELSE our_asked.our_hash END, %(model)s,
    our_asked.our_reason, our_asked.our_attempts
FROM unnest({key_arrays}, %(hashes)s::bytea[], %(reasons)s::text[], %(attempts)s::integer[])
    AS our_asked ({key_names}, our_hash, our_reason, our_attempts)
JOIN {table} ON {key_match}{tried}
WHERE {unreadable} OR sha256(convert_to(({text}
    )::text, 'UTF8')) = our_asked.our_hash
ON CONFLICT (table_name, column_name, key) DO UPDATE
SET hash = excluded.hash,
    model = excluded.model,
    reason = excluded.reason,
    attempts = CASE WHEN (our_line.hash, our_line.model) = (excluded.hash, excluded.model) THEN our_line.attempts ELSE 0 END + excluded.attempts,
    first_at = CASE WHEN (our_line.hash, our_line.model) = (excluded.hash, excluded.model) THEN our_line.first_at ELSE now() END,
    last_at = now()
