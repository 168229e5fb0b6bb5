-- The schema of vectrue's own state. Applied once, by `vectrue init`.

CREATE TABLE vectrue.targets (
    table_name  text NOT NULL,
    column_name text NOT NULL,
    model       text NOT NULL,
    dimensions  integer NOT NULL CHECK (dimensions > 0),
    updated_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (table_name, column_name)
);
COMMENT ON TABLE vectrue.targets IS 'What "current" means: the model wanted in each vector column. Every vector write checks it.';

CREATE TABLE vectrue.models (
    model         text PRIMARY KEY,
    name          text NOT NULL,
    dimensions    integer NOT NULL,
    registered_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE vectrue.models IS 'The models that were ever wanted, by the id stored beside each vector.';

CREATE TABLE vectrue.replays (
    run         uuid PRIMARY KEY,
    scope       text NOT NULL CHECK (scope IN ('missing', 'stale', 'all')),
    state       text NOT NULL CHECK (state IN ('planned', 'running', 'paused', 'cancelled', 'done')),
    created_at  timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz
);
COMMENT ON TABLE vectrue.replays IS 'Replay runs.';

CREATE TABLE vectrue.replay_scopes (
    run         uuid NOT NULL REFERENCES vectrue.replays ON DELETE CASCADE,
    table_name  text NOT NULL,
    column_name text NOT NULL,
    model       text NOT NULL,
    expected    bigint NOT NULL,
    cursor_key  text[],
    enumerated  boolean NOT NULL DEFAULT false,
    PRIMARY KEY (run, table_name, column_name)
);
COMMENT ON TABLE vectrue.replay_scopes IS 'The columns of a run, and how far each was enumerated.';

CREATE TABLE vectrue.replay_chunks (
    run         uuid NOT NULL REFERENCES vectrue.replays ON DELETE CASCADE,
    chunk       integer NOT NULL,
    table_name  text NOT NULL,
    column_name text NOT NULL,
    model       text NOT NULL,
    keys        jsonb NOT NULL,
    total_keys  integer NOT NULL,
    done_keys   integer NOT NULL DEFAULT 0,
    embedded    integer NOT NULL DEFAULT 0,
    cleared     integer NOT NULL DEFAULT 0,
    current     integer NOT NULL DEFAULT 0,
    blank       integer NOT NULL DEFAULT 0,
    gone        integer NOT NULL DEFAULT 0,
    changed     integer NOT NULL DEFAULT 0,
    deferred    integer NOT NULL DEFAULT 0,
    quarantined integer NOT NULL DEFAULT 0,
    failed      integer NOT NULL DEFAULT 0,
    obsolete    integer NOT NULL DEFAULT 0,
    sent_at     timestamptz,
    done_at     timestamptz,
    PRIMARY KEY (run, chunk),
    CHECK (done_keys BETWEEN 0 AND total_keys)
);
COMMENT ON TABLE vectrue.replay_chunks IS
    'The ledger: one row per chunk, advanced in the transaction that writes the chunk''s vectors, so that a chunk '
    'delivered twice counts once. done_keys = embedded + cleared + current + blank + gone + changed + deferred + quarantined + failed + obsolete.';

CREATE TABLE vectrue.quarantine (
    table_name  text NOT NULL,
    column_name text NOT NULL,
    key         text[] NOT NULL,
    hash        bytea NOT NULL,
    model       text NOT NULL,
    reason      text NOT NULL,
    attempts    integer NOT NULL DEFAULT 1,
    first_at    timestamptz NOT NULL DEFAULT now(),
    last_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (table_name, column_name, key)
);
COMMENT ON TABLE vectrue.quarantine IS 'Rows whose text the model could not take. A new text, or a success, removes the row.';

CREATE TABLE vectrue.heartbeat (
    id integer PRIMARY KEY DEFAULT 1 CHECK (id = 1),
    at timestamptz NOT NULL
);
COMMENT ON TABLE vectrue.heartbeat IS 'Written by the connector every few seconds, so that its slot moves while the tables are quiet.';
