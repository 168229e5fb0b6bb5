-- Whether a vector is the one that was written with its provenance, as a fragment. What wrote it left its transaction's
-- number behind the digest: where nobody has written the row since, the vector is not read, which takes longest by far.
coalesce({untouched} OR substring({digest_column} FROM 1 FOR 8) = vectrue.vector_digest({column}), true)
