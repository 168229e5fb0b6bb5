-- Migrations of vector columns from one model to another.

CREATE TABLE vectrue.column_migrations (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    table_name      text NOT NULL,
    column_name     text NOT NULL,
    state           text NOT NULL DEFAULT 'started' CHECK (state IN ('started', 'swapped', 'finished', 'rolled_back')),
    offline         boolean NOT NULL,
    frozen          boolean NOT NULL,
    from_model      text NOT NULL,
    from_dimensions integer NOT NULL,
    to_model        text NOT NULL,
    to_dimensions   integer NOT NULL,
    from_settings   jsonb NOT NULL,
    to_settings     jsonb NOT NULL,
    indexes         jsonb NOT NULL DEFAULT '[]',
    started_at      timestamptz NOT NULL DEFAULT now(),
    swapped_at      timestamptz,
    ended_at        timestamptz
);
CREATE UNIQUE INDEX one_open_migration ON vectrue.column_migrations (table_name, column_name)
    WHERE state IN ('started', 'swapped');
COMMENT ON TABLE vectrue.column_migrations IS
    'Vector columns on their way from one model to another: the state of `vectrue migrate`. Workers that find an open '
    'one load the models that vectrue.targets wants, whatever their settings say.';

ALTER TABLE vectrue.targets ADD COLUMN frozen boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN vectrue.targets.frozen IS 'Vectors that are kept for readers, but no longer kept true: no worker writes them.';
