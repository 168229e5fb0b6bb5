-- Two installations in one database share nothing by accident: what the keeper remembers, and what is counted, by prefix.

-- What was remembered is forgotten: the keeper then looks at once.
DELETE FROM embedsync.keeper;
ALTER TABLE embedsync.keeper DROP COLUMN id;
ALTER TABLE embedsync.keeper ADD COLUMN prefix text PRIMARY KEY;

ALTER TABLE embedsync.dead_letters ADD COLUMN prefix text;
COMMENT ON COLUMN embedsync.dead_letters.prefix IS 'Whose letter it is: kafka.topic_prefix; NULL where an older embedsync wrote it.';

CREATE TABLE embedsync.counted (
    prefix      text NOT NULL,
    table_name  text NOT NULL,
    column_name text NOT NULL,
    query       text NOT NULL,
    PRIMARY KEY (prefix, table_name, column_name)
);
COMMENT ON TABLE embedsync.counted IS
    'The vector columns that each installation keeps, by kafka.topic_prefix, and the query that counts each: what the functions under the view embedsync.coverage are made of.';

ALTER TABLE embedsync.installations ADD COLUMN connector_host text, ADD COLUMN connector_port integer;
COMMENT ON COLUMN embedsync.installations.connector_host IS 'The server as the connector reaches it, as `init` configured it.';
