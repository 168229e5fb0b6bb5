-- Take the hash away from vectors that were found untrue, as long as they are the very same vectors.
UPDATE {table}
SET {hash_column} = NULL
FROM unnest({key_arrays}, %(digests)s::bytea[]) AS our_asked ({key_names}, our_digest)
WHERE {key_match} AND sha256({vectors}.vector_send({column})) = our_asked.our_digest AND {hash_column} IS NOT NULL
RETURNING 1
