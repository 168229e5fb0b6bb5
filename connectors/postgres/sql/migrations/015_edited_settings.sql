-- Workers whose settings file was edited under them.

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
