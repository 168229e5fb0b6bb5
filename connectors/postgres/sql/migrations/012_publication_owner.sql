-- A publication that somebody else made again, or was given, is noticed.

ALTER TABLE embedsync.installations ADD COLUMN publication_owner text;
COMMENT ON COLUMN embedsync.installations.publication_owner IS 'Whose the publication was when `init` ran.';
