-- What keeps the workers from doing things twice, and tells whether anybody does them at all.

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
    'periods is said by `vectrue lag`.';
