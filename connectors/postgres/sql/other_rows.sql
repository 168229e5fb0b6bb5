-- Keys of rows beside the asked ones that nobody holds, wherever in the table: of about sixteen of its pages.
SELECT ARRAY[{keys_as_text}]
FROM {table} TABLESAMPLE SYSTEM (least(100, 100 * 16 * 8192.0 / greatest(pg_relation_size(%(relation)s::regclass), 1)))
WHERE NOT EXISTS (SELECT FROM unnest({key_arrays}) AS our_asked ({key_names}) WHERE {key_match})
LIMIT 64
FOR NO KEY UPDATE SKIP LOCKED
