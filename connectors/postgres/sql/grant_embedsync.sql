GRANT SELECT ON ALL TABLES IN SCHEMA embedsync TO {role};
GRANT INSERT, UPDATE ON embedsync.replays, embedsync.replay_scopes, embedsync.replay_chunks, embedsync.quarantine,
    embedsync.keeper, embedsync.dead_letters, embedsync.feedback, embedsync.canary, embedsync.canary_trail,
    embedsync.looks, embedsync.slot_moves, embedsync.topics, embedsync.table_marks, embedsync.locks,
    embedsync.rounds, embedsync.edited_settings TO {role};
GRANT INSERT ON embedsync.queries, embedsync.quality_runs TO {role};
GRANT DELETE ON embedsync.quarantine, embedsync.dead_letters, embedsync.queries, embedsync.quality_runs,
    embedsync.canary_trail, embedsync.looks, embedsync.topics, embedsync.table_marks,
    embedsync.edited_settings TO {role}
