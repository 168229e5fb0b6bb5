-- Two installations in one database share nothing by accident: what the keeper remembers, and what is counted, by prefix.

-- What was remembered is forgotten: the keeper then looks at once.
DELETE FROM vectrue.keeper;
ALTER TABLE vectrue.keeper DROP COLUMN id;
ALTER TABLE vectrue.keeper ADD COLUMN prefix text PRIMARY KEY;

ALTER TABLE vectrue.dead_letters ADD COLUMN prefix text;
COMMENT ON COLUMN vectrue.dead_letters.prefix IS 'Whose letter it is: kafka.topic_prefix; NULL where an older vectrue wrote it.';

CREATE TABLE vectrue.counted (
    prefix      text NOT NULL,
    table_name  text NOT NULL,
    column_name text NOT NULL,
    query       text NOT NULL,
    PRIMARY KEY (prefix, table_name, column_name)
);
COMMENT ON TABLE vectrue.counted IS
    'The vector columns that each installation keeps, by kafka.topic_prefix, and the query that counts each: what the functions under the view vectrue.coverage are made of.';

ALTER TABLE vectrue.installations ADD COLUMN connector_host text, ADD COLUMN connector_port integer;
COMMENT ON COLUMN vectrue.installations.connector_host IS 'The server as the connector reaches it, as `init` configured it.';
