-- How good searches are: what judged queries found, what was searched, and what people thought of it.

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
