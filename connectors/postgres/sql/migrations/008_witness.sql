-- What green is judged by: who set this up and on which log, a row that travels the whole path, rows that are yet to be looked at.

CREATE TABLE vectrue.installations (
    prefix            text PRIMARY KEY,
    system_identifier text NOT NULL,
    timeline          integer NOT NULL,
    database_oid      bigint NOT NULL,
    database_name     text NOT NULL,
    slot              text NOT NULL,
    publication       text NOT NULL,
    connector         text NOT NULL,
    search_path       text NOT NULL,
    locale            jsonb NOT NULL DEFAULT '{}',
    set_up_at         timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE vectrue.installations IS
    'What `vectrue init` set up, by kafka.topic_prefix, and on which log: a stored offset means something on that log alone.';

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
