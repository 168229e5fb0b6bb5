-- A model under its id; fields that an older vectrue did not know are filled in.
INSERT INTO vectrue.models AS known (model, name, revision, dimensions, pooling, max_tokens, fingerprint)
VALUES ({values})
ON CONFLICT (model) DO UPDATE
SET name = excluded.name, revision = excluded.revision, dimensions = excluded.dimensions, pooling = excluded.pooling,
    max_tokens = excluded.max_tokens, fingerprint = excluded.fingerprint
WHERE known.fingerprint IS DISTINCT FROM excluded.fingerprint
