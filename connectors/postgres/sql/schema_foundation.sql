CREATE SCHEMA IF NOT EXISTS vectrue;
CREATE TABLE IF NOT EXISTS vectrue.migrations (
    version    integer PRIMARY KEY,
    name       text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE vectrue.migrations IS 'Which of the numbered migrations this schema has seen.'
