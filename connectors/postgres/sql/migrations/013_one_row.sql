-- What keeps one row's trouble its own, and a vector its text's.

ALTER TABLE vectrue.targets ADD COLUMN text_digest bytea;
COMMENT ON COLUMN vectrue.targets.text_digest IS
    'The text expression that is wanted, by a digest: two versions of it would put each other''s vectors right for ever.';

COMMENT ON COLUMN vectrue.quarantine.hash IS 'sha256 of the text that was refused; empty where the text cannot be made.';
