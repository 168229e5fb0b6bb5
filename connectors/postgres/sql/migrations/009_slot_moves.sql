-- When the replication slot was last seen to move, so that one look is enough to say for how long it has stood still.

CREATE TABLE vectrue.slot_moves (
    prefix   text PRIMARY KEY,
    slot     text NOT NULL,
    position pg_lsn NOT NULL,
    moved_at timestamptz NOT NULL,
    seen_at  timestamptz NOT NULL
);
COMMENT ON TABLE vectrue.slot_moves IS
    'The slot''s confirmed position as the live worker last saw it, and since when. Never published.';
