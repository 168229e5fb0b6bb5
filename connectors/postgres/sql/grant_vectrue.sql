GRANT SELECT ON ALL TABLES IN SCHEMA vectrue TO {role};
GRANT INSERT, UPDATE ON vectrue.replays, vectrue.replay_scopes, vectrue.replay_chunks, vectrue.quarantine,
    vectrue.keeper, vectrue.dead_letters, vectrue.feedback, vectrue.canary, vectrue.canary_trail,
    vectrue.looks, vectrue.slot_moves, vectrue.topics, vectrue.table_marks, vectrue.locks,
    vectrue.rounds, vectrue.edited_settings TO {role};
GRANT INSERT ON vectrue.queries, vectrue.quality_runs TO {role};
GRANT DELETE ON vectrue.quarantine, vectrue.dead_letters, vectrue.queries, vectrue.quality_runs,
    vectrue.canary_trail, vectrue.looks, vectrue.topics, vectrue.table_marks,
    vectrue.edited_settings TO {role}
