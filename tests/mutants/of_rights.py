"""Defects of rights: whose code runs with whose, what the workers' role may read, who
may take a lock.
"""

from tests.mutants.defect import Defect

TRUST = "tests/integration/setup/test_trust.py"
SCORE = "tests/integration/search/test_score_rights.py"
LOCKS = "tests/integration/setup/test_locks.py"

OF_RIGHTS = (
    Defect(
        "rows counted with the rights of whoever runs `init`",
        "connectors/postgres/checks/trust.py",
        "        return self._session\n",
        "        return self._asking\n",
        (f"{TRUST}::test_init_runs_nothing_of_the_application_as_a_superuser",),
    ),
    Defect(
        "a text that leaves its brackets",
        "connectors/postgres/catalog.py",
        "why = expressions.refusal(session, target.text)",
        "why = None",
        (f"{TRUST}::test_a_text_that_is_not_one_expression_is_refused",),
    ),
    Defect(
        "columns of `[score]` that nobody grants",
        "connectors/postgres/setup/grants.py",
        "    for one in asked:\n        statements += _relations(grantee, one.columns, one.what)\n",
        "",
        (f"{SCORE}::test_init_grants_what_score_names",),
    ),
    Defect(
        "a lock that anybody may take who may connect",
        "connectors/postgres/ledger/runs.sql",
        "INSERT INTO vectrue.locks (name) VALUES ('replays') "
        "ON CONFLICT (name) DO UPDATE SET taken_at = clock_timestamp()",
        "SELECT pg_advisory_xact_lock(hashtext('vectrue.replays'))",
        (f"{LOCKS}::test_a_stranger_keeps_nobody_from_work",),
    ),
    Defect(
        "a lock that two have who found it free",
        "connectors/postgres/session.sql",
        (
            "seen.pid IS NOT DISTINCT FROM held.pid AND seen.started_at IS NOT DISTINCT FROM "
            "held.started_at)"
        ),
        "true)",
        (f"{LOCKS}::test_two_that_find_a_lock_free",),
    ),
    Defect(
        "a keeper that nobody misses",
        "schemas/health/lag_findings.py",
        "for late in witness.neglected:",
        "for late in ():",
        ("tests/unit/schemas/health/test_rounds.py",),
    ),
)
