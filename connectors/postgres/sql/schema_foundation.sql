CREATE SCHEMA IF NOT EXISTS embedsync;
CREATE TABLE IF NOT EXISTS embedsync.migrations (
    version    integer PRIMARY KEY,
    name       text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE embedsync.migrations IS 'Which of the numbered migrations this schema has seen.'
