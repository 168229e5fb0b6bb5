-- A success takes a row out of quarantine.
DELETE FROM vectrue.quarantine AS our_line
USING unnest({key_arrays}) AS our_asked ({key_names})
JOIN {table} ON {key_match}
WHERE our_line.table_name = {table_literal} AND our_line.column_name = {column_literal} AND our_line.key = ARRAY[{keys_as_text}]
