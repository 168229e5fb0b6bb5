-- Take the row locks of an UPDATE that changes no key, without ever waiting: a row that somebody holds is left out.
SELECT our_asked.our_ord::integer
FROM unnest({key_arrays}) WITH ORDINALITY AS our_asked ({key_names}, our_ord)
CROSS JOIN LATERAL (
    SELECT FROM {table} WHERE {key_match} FOR NO KEY UPDATE SKIP LOCKED
) AS locked
