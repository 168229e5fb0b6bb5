-- What is remembered of each topic that a worker consumes, so that a topic made again and an offset moved by hand are noticed.

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
