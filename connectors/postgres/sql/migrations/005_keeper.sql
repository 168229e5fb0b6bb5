-- What the keeper of the replay workers remembers, and which runs are its own.

CREATE TABLE embedsync.keeper (
    id            integer PRIMARY KEY DEFAULT 1 CHECK (id = 1),
    reconciled_at timestamptz,
    found         bigint
);
COMMENT ON TABLE embedsync.keeper IS
    'When all rows were last looked at, over all workers, and how many were found to stay stale. NULL: look at once.';

ALTER TABLE embedsync.replays ADD COLUMN made_by text NOT NULL DEFAULT 'command' CHECK (made_by IN ('command', 'keeper'));
COMMENT ON COLUMN embedsync.replays.made_by IS 'Who started the run; the keeper takes up again only its own.';
