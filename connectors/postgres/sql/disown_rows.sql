-- Take the provenance from vectors that a trigger put in the place of ours: nothing says any more what they were made from.
UPDATE {table}
SET {hash_column} = NULL, {model_column} = NULL, {digest_column} = NULL
FROM unnest({key_arrays}, %(ords)s::integer[]) AS our_asked ({key_names}, our_ord)
WHERE {key_match}
RETURNING our_asked.our_ord
