-- Everything that vectrue remembers in the database. Applied once, by `vectrue init`.

CREATE TABLE vectrue.targets (
    table_name  text NOT NULL,
    column_name text NOT NULL,
    model       text NOT NULL,
    dimensions  integer NOT NULL CHECK (dimensions > 0),
    text_digest bytea,
    frozen      boolean NOT NULL DEFAULT false,
    updated_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (table_name, column_name)
);
COMMENT ON TABLE vectrue.targets IS 'What "current" means: the model wanted in each vector column. Every vector write checks it.';
COMMENT ON COLUMN vectrue.targets.text_digest IS
    'Digest of the text expression that is wanted: workers with different expressions would overwrite each other''s vectors.';
COMMENT ON COLUMN vectrue.targets.frozen IS 'Vectors that are kept for readers but no longer kept true: no worker writes them.';

CREATE TABLE vectrue.models (
    model         text PRIMARY KEY,
    name          text NOT NULL,
    dimensions    integer NOT NULL,
    revision      text,
    pooling       text,
    max_tokens    integer,
    fingerprint   text,
    registered_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE vectrue.models IS 'The models that were ever wanted, by the id stored beside each vector.';
COMMENT ON COLUMN vectrue.models.revision IS 'Whole commit, digest of a folder''s files, or version of a package.';
COMMENT ON COLUMN vectrue.models.pooling IS 'How vectors of tokens become one; NULL where there are none.';
COMMENT ON COLUMN vectrue.models.max_tokens IS 'Tokens after which a text is cut; NULL where there is no such limit.';
COMMENT ON COLUMN vectrue.models.fingerprint IS
    'sha256 of everything that changes the numbers; the id ends in its first eight hex digits.';

CREATE TABLE vectrue.replays (
    run           uuid PRIMARY KEY,
    scope         text NOT NULL CHECK (scope IN ('missing', 'stale', 'all')),
    state         text NOT NULL CHECK (state IN ('planned', 'running', 'paused', 'cancelled', 'done')),
    requested_by  text NOT NULL DEFAULT 'operator' CHECK (requested_by IN ('operator', 'keeper')),
    where_text    text,
    since         timestamptz,
    force         boolean NOT NULL DEFAULT false,
    from_keys     boolean NOT NULL DEFAULT false,
    chunk_size    integer CHECK (chunk_size > 0),
    rate          double precision CHECK (rate > 0),
    next_slot     timestamptz,
    max_live_lag  double precision CHECK (max_live_lag > 0),
    waiting       text,
    waiting_since timestamptz,
    waiting_at    timestamptz,
    created_at    timestamptz NOT NULL DEFAULT now(),
    finished_at   timestamptz
);
COMMENT ON TABLE vectrue.replays IS 'Replay runs.';
COMMENT ON COLUMN vectrue.replays.rate IS 'Rows per second, all workers together; NULL: no limit.';
COMMENT ON COLUMN vectrue.replays.next_slot IS 'When the next micro-batch may start under the rate; moved by the worker that takes it.';
COMMENT ON COLUMN vectrue.replays.max_live_lag IS 'Seconds that the live lane may be behind before the run waits; NULL: replay.max_live_lag_seconds.';
COMMENT ON COLUMN vectrue.replays.waiting IS 'Why a worker waited at waiting_at. Out of date once waiting_at is.';

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
    returned     boolean NOT NULL DEFAULT false,
    busy_seconds double precision NOT NULL DEFAULT 0,
    PRIMARY KEY (run, chunk),
    CHECK (done_keys BETWEEN 0 AND total_keys)
);
COMMENT ON TABLE vectrue.replay_chunks IS
    'The ledger: one row per chunk, advanced in the transaction that writes the chunk''s vectors, so that a chunk '
    'delivered twice counts once. done_keys = embedded + cleared + current + blank + gone + changed + deferred + quarantined + failed + obsolete.';
COMMENT ON COLUMN vectrue.replay_chunks.returned IS 'A worker took the message from the topic while the run was paused: it has to be sent again.';
COMMENT ON COLUMN vectrue.replay_chunks.busy_seconds IS 'Time that workers spent on the chunk, waits left out.';

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
COMMENT ON COLUMN vectrue.quarantine.hash IS 'sha256 of the text that was refused; empty where the text cannot be made.';

CREATE TABLE vectrue.heartbeat (
    id integer PRIMARY KEY DEFAULT 1 CHECK (id = 1),
    at timestamptz NOT NULL
);
COMMENT ON TABLE vectrue.heartbeat IS 'Written by the connector every few seconds, so that its slot moves while the tables are quiet.';

CREATE TABLE vectrue.dead_letters (
    id       text PRIMARY KEY,
    state    text NOT NULL CHECK (state IN ('redriven', 'purged')),
    seen_at  timestamptz NOT NULL,
    outcome  text,
    prefix   text,
    at       timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE vectrue.dead_letters IS
    'Dead letters that were sent again or are to be hidden, by topic/partition/offset of the event. '
    'seen_at: time of the newest letter this is about; a later one with the same id is open again.';
COMMENT ON COLUMN vectrue.dead_letters.prefix IS 'Whose letter it is: kafka.topic_prefix.';

CREATE TABLE vectrue.keeper (
    prefix        text PRIMARY KEY,
    reconciled_at timestamptz,
    found         bigint
);
COMMENT ON TABLE vectrue.keeper IS
    'When all rows were last looked at, over all workers, and how many were found to stay stale. NULL: look at once.';

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

CREATE TABLE vectrue.quality_runs (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    table_name   text NOT NULL,
    model        text NOT NULL,
    at           timestamptz NOT NULL DEFAULT clock_timestamp(),
    queries      integer NOT NULL CHECK (queries > 0),
    gone         integer NOT NULL,
    way          text NOT NULL CHECK (way IN ('exact', 'index')),
    ndcg         double precision NOT NULL,
    recall       double precision NOT NULL,
    mrr          double precision NOT NULL,
    p50_seconds  double precision NOT NULL,
    p95_seconds  double precision NOT NULL
);
CREATE INDEX quality_runs_of_table ON vectrue.quality_runs (table_name, id);
COMMENT ON TABLE vectrue.quality_runs IS
    'What judged queries found among the first ten rows, each time that they were asked; the newest 1,000 of a table. '
    'gone: judged rows that are no longer there, which count for nothing.';

CREATE TABLE vectrue.queries (
    id               uuid PRIMARY KEY,
    at               timestamptz NOT NULL DEFAULT clock_timestamp(),
    query_text       text,
    query_hmac       bytea,
    models           text[] NOT NULL,
    tables           text[] NOT NULL,
    hits             jsonb NOT NULL,
    embed_seconds    double precision NOT NULL,
    database_seconds double precision NOT NULL,
    total_seconds    double precision NOT NULL,
    CHECK (num_nonnulls(query_text, query_hmac) = 1)
);
CREATE INDEX queries_by_age ON vectrue.queries (at);
COMMENT ON TABLE vectrue.queries IS
    'Searches of `vectrue serve`, while serve.query_log is not off; deleted after serve.query_log_days. hits: table, key and '
    'similarity, best first.';

CREATE TABLE vectrue.feedback (
    query_id   uuid NOT NULL REFERENCES vectrue.queries ON DELETE CASCADE,
    table_name text NOT NULL,
    key        text[] NOT NULL,
    useful     boolean NOT NULL,
    at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (query_id, table_name, key)
);
COMMENT ON TABLE vectrue.feedback IS 'Whether a row that a search found was of use; the last word counts.';

CREATE TABLE vectrue.installations (
    prefix            text PRIMARY KEY,
    system_identifier text NOT NULL,
    timeline          integer NOT NULL,
    database_oid      bigint NOT NULL,
    database_name     text NOT NULL,
    slot              text NOT NULL,
    publication       text NOT NULL,
    connector         text NOT NULL,
    connector_host    text,
    connector_port    integer,
    publication_owner text,
    search_path       text NOT NULL,
    locale            jsonb NOT NULL DEFAULT '{}',
    set_up_at         timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE vectrue.installations IS
    'What `vectrue init` set up, by kafka.topic_prefix, and on which log: a stored offset means something on that log alone.';
COMMENT ON COLUMN vectrue.installations.connector_host IS 'The server as the connector reaches it, as `init` configured it.';
COMMENT ON COLUMN vectrue.installations.publication_owner IS 'Owner of the publication when `init` ran.';

CREATE TABLE vectrue.canary (
    prefix  text PRIMARY KEY,
    beat    bigint NOT NULL DEFAULT 0,
    sent_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE vectrue.canary IS
    'A row that the live worker writes every few seconds, and that capture brings back to it: the witness that changes arrive.';

CREATE TABLE vectrue.canary_trail (
    prefix      text NOT NULL,
    beat        bigint NOT NULL,
    sent_at     timestamptz NOT NULL,
    captured_at timestamptz,
    queued_at   timestamptz,
    worker_at   timestamptz,
    arrived_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (prefix, beat)
);
COMMENT ON TABLE vectrue.canary_trail IS
    'Each beat of the canary that came back, with the time of each hop; the last hour. Never published.';

CREATE TABLE vectrue.looks (
    prefix     text NOT NULL,
    table_name text NOT NULL,
    reason     text NOT NULL,
    asked_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (prefix, table_name)
);
COMMENT ON TABLE vectrue.looks IS
    'Tables of which changes may have been missed. The keeper looks at all their rows and takes the line away; until then '
    'nothing says that all is well.';

CREATE TABLE vectrue.slot_moves (
    prefix   text PRIMARY KEY,
    slot     text NOT NULL,
    position pg_lsn NOT NULL,
    moved_at timestamptz NOT NULL,
    seen_at  timestamptz NOT NULL
);
COMMENT ON TABLE vectrue.slot_moves IS
    'The slot''s confirmed position as the live worker last saw it, and since when. Never published.';

CREATE TABLE vectrue.counted (
    prefix      text NOT NULL,
    table_name  text NOT NULL,
    column_name text NOT NULL,
    query       text NOT NULL,
    PRIMARY KEY (prefix, table_name, column_name)
);
COMMENT ON TABLE vectrue.counted IS
    'The vector columns that each installation keeps, by kafka.topic_prefix, and the query that counts each: what the functions under the view vectrue.coverage are made of.';

CREATE TABLE vectrue.topics (
    prefix    text NOT NULL,
    topic     text NOT NULL,
    partition integer NOT NULL,
    topic_id  text NOT NULL,
    handled   bigint,
    noted_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (prefix, topic, partition)
);
COMMENT ON TABLE vectrue.topics IS
    'The id that Kafka gave each topic, and how far its events are handled. Written before each commit of an offset, so that a '
    'commit beyond it was made by somebody else, or by a worker whose writes this database has lost.';

CREATE TABLE vectrue.table_marks (
    prefix     text NOT NULL,
    table_name text NOT NULL,
    mark       text NOT NULL,
    noted_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (prefix, table_name)
);
COMMENT ON TABLE vectrue.table_marks IS
    'Which relations and files store the rows of a table, and since when it is published, as the keeper last saw it: where that '
    'changes, rows may have come or changed without an event.';

CREATE TABLE vectrue.locks (
    name        text PRIMARY KEY,
    pid         integer,
    started_at  timestamptz,
    application text,
    taken_at    timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE vectrue.locks IS
    'Who holds what: the process, start and name of a connection, for as long as the server has that connection. An advisory '
    'lock would be anybody''s who may connect.';

CREATE TABLE vectrue.rounds (
    prefix        text NOT NULL,
    what          text NOT NULL,
    begun_at      timestamptz,
    at            timestamptz,
    every_seconds double precision,
    doing         text,
    PRIMARY KEY (prefix, what)
);
COMMENT ON TABLE vectrue.rounds IS
    'When somebody last looked after an installation, and when a worker last started that will: nobody having looked for two '
    'periods is said by `vectrue lag`. And what a worker has begun to change in steps, so that another one can end it.';

CREATE TABLE vectrue.edited_settings (
    prefix      text NOT NULL,
    worker      text NOT NULL,
    pid         integer NOT NULL,
    application text NOT NULL,
    sentence    text NOT NULL,
    fix         text NOT NULL,
    noted_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (prefix, worker)
);
COMMENT ON TABLE vectrue.edited_settings IS
    'What each worker runs with that its settings file no longer says. A line holds as long as the server has the connection '
    'that it names.';
