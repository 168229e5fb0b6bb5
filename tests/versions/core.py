"""The tests that run on every version: those whose SQL, catalogs or replication could
differ from one PostgreSQL to the next.
"""

TWINS = "not (test_store and twin) and not (test_outbox and twin)"
"""For `pytest -k`: what runs on no Postgres says nothing about one."""
CORE = (
    # the store and the outbox, beside their twins
    "tests/contract/test_store.py",
    "tests/contract/test_outbox.py",
    # init: schema, rights, publication, slot, connector
    "tests/integration/setup/test_init.py",
    "tests/integration/setup/test_init_capture.py",
    "tests/integration/setup/test_init_refusals.py",
    "tests/integration/setup/test_init_rights.py",
    "tests/integration/setup/test_init_tables.py",
    "tests/integration/setup/test_locks.py",
    "tests/integration/setup/test_own_settings.py",
    "tests/integration/setup/test_trust.py",
    "tests/integration/setup/test_without_init.py",
    # origins, slots, the canary, a database that moves
    "tests/integration/capture/test_canary.py",
    "tests/integration/capture/test_foreign_origins.py",
    "tests/integration/capture/test_moved_log.py",
    "tests/integration/capture/test_row_versions.py",
    # ledger and replay, audit
    "tests/integration/replay/test_adopt.py",
    "tests/integration/replay/test_blockers.py",
    "tests/integration/replay/test_replay.py",
    "tests/integration/replay/test_replay_keys.py",
    "tests/integration/replay/test_verify.py",
    # compare-and-set writes, sessions
    "tests/integration/worker/test_early_and_locked.py",
    "tests/integration/worker/test_live.py",
    "tests/integration/worker/test_one_row.py",
    "tests/integration/worker/test_sessions.py",
    # the move of a column to another model
    "tests/integration/migration/test_migrate.py",
    "tests/integration/migration/test_migrate_indexes.py",
    "tests/integration/migration/test_migrate_scopes.py",
    # health
    "tests/integration/keeper/test_dlq.py",
    "tests/integration/keeper/test_keeper.py",
    "tests/integration/operations/test_doctor.py",
    "tests/integration/operations/test_doctor_causes.py",
    "tests/integration/operations/test_lag.py",
    # search
    "tests/integration/search/test_score_rights.py",
    "tests/integration/search/test_search.py",
)
