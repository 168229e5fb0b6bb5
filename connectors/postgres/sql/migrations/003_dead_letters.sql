-- What was done about dead letters: a record in the middle of a Kafka topic cannot be changed or taken away.

CREATE TABLE vectrue.dead_letters (
    id       text PRIMARY KEY,
    state    text NOT NULL CHECK (state IN ('redriven', 'purged')),
    seen_at  timestamptz NOT NULL,
    outcome  text,
    at       timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE vectrue.dead_letters IS
    'Dead letters that were sent again or are to be hidden, by topic/partition/offset of the event. '
    'seen_at: time of the newest letter this is about; a later one with the same id is open again.';
