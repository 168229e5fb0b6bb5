-- Keys as the database writes them, each with that of the row which it names; no row: NULL. In the order asked.
SELECT ARRAY[{key_texts}], found.key
FROM unnest({key_arrays}) WITH ORDINALITY AS our_asked ({key_names}, our_ord)
LEFT JOIN LATERAL (SELECT ARRAY[{keys_as_text}] AS key FROM {table} WHERE {key_match} LIMIT 1) AS found ON true
ORDER BY our_asked.our_ord
