-- What else is kept about a model: enough to tell two ids apart, and to find the weights of a vector again.

ALTER TABLE vectrue.models
    ADD COLUMN IF NOT EXISTS revision    text,
    ADD COLUMN IF NOT EXISTS pooling     text,
    ADD COLUMN IF NOT EXISTS max_tokens  integer,
    ADD COLUMN IF NOT EXISTS fingerprint text;
COMMENT ON COLUMN vectrue.models.revision IS 'Whole commit, digest of a folder''s files, or version of a package.';
COMMENT ON COLUMN vectrue.models.pooling IS 'How vectors of tokens become one; NULL where there are none.';
COMMENT ON COLUMN vectrue.models.max_tokens IS 'Tokens after which a text is cut; NULL where there is no such limit.';
COMMENT ON COLUMN vectrue.models.fingerprint IS
    'sha256 of everything that changes the numbers; the id ends in its first eight hex digits.';
