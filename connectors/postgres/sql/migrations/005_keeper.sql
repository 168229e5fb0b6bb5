-- What the keeper of the replay workers remembers.

CREATE TABLE vectrue.keeper (
    id            integer PRIMARY KEY DEFAULT 1 CHECK (id = 1),
    reconciled_at timestamptz,
    found         bigint
);
COMMENT ON TABLE vectrue.keeper IS
    'When all rows were last looked at, over all workers, and how many were found to stay stale. NULL: look at once.';
