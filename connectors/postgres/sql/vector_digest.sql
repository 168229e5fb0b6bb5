-- What a vector is known by: eight bytes, since nobody chooses them and a row has one. Planned into the query that calls it.
CREATE OR REPLACE FUNCTION vectrue.vector_digest({vectors}.vector) RETURNS bytea
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS {body}
