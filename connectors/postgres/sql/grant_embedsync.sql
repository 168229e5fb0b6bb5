GRANT SELECT ON ALL TABLES IN SCHEMA embedsync TO {role};
GRANT INSERT, UPDATE ON embedsync.replays, embedsync.replay_scopes, embedsync.replay_chunks, embedsync.quarantine,
    embedsync.keeper TO {role};
GRANT DELETE ON embedsync.quarantine TO {role}
