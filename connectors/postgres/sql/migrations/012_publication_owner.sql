-- A publication that somebody else made again, or was given, is noticed.

ALTER TABLE vectrue.installations ADD COLUMN publication_owner text;
COMMENT ON COLUMN vectrue.installations.publication_owner IS 'Whose the publication was when `init` ran.';
