-- A success takes a row out of quarantine.
DELETE FROM embedsync.quarantine AS q
USING unnest({key_arrays}) AS asked ({key_names})
JOIN {table} ON {key_match}
WHERE q.table_name = {table_literal} AND q.column_name = {column_literal} AND q.key = ARRAY[{keys_as_text}]
