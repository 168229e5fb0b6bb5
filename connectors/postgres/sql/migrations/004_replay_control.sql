-- Replay runs that can be narrowed, limited, paused and asked why they wait, from any host.

ALTER TABLE vectrue.replays
    ADD COLUMN where_text    text,
    ADD COLUMN since         timestamptz,
    ADD COLUMN force         boolean NOT NULL DEFAULT false,
    ADD COLUMN from_keys     boolean NOT NULL DEFAULT false,
    ADD COLUMN requested_by  text NOT NULL DEFAULT 'operator' CHECK (requested_by IN ('operator', 'keeper')),
    ADD COLUMN chunk_size    integer CHECK (chunk_size > 0),
    ADD COLUMN rate          double precision CHECK (rate > 0),
    ADD COLUMN next_slot     timestamptz,
    ADD COLUMN max_live_lag  double precision CHECK (max_live_lag > 0),
    ADD COLUMN waiting       text,
    ADD COLUMN waiting_since timestamptz,
    ADD COLUMN waiting_at    timestamptz;
COMMENT ON COLUMN vectrue.replays.rate IS 'Rows per second, all workers together; NULL: no limit.';
COMMENT ON COLUMN vectrue.replays.next_slot IS 'When the next micro-batch may start under the rate; moved by the worker that takes it.';
COMMENT ON COLUMN vectrue.replays.max_live_lag IS 'Seconds that the live lane may be behind before the run waits; NULL: replay.max_live_lag_seconds.';
COMMENT ON COLUMN vectrue.replays.waiting IS 'Why a worker waits, as of waiting_at; old news once waiting_at is.';

ALTER TABLE vectrue.replay_chunks
    ADD COLUMN returned     boolean NOT NULL DEFAULT false,
    ADD COLUMN busy_seconds double precision NOT NULL DEFAULT 0;
COMMENT ON COLUMN vectrue.replay_chunks.returned IS 'A worker took the message out of the topic while the run was paused: it is to be sent again.';
COMMENT ON COLUMN vectrue.replay_chunks.busy_seconds IS 'Time that workers spent on the chunk, waits left out.';
