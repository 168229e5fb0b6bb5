"""What `vectrue doctor` says about migrations under way.

That is their state, and whether their tables were changed from outside.
"""

from collections.abc import Iterator

from connectors.postgres.session import Session
from schemas.health import needs
from schemas.health.check_result import CheckResult, ok, problem, warning
from schemas.reports.migration import table_flags
from schemas.settings.reading import Settings
from streams.migration import in_flight as migrate_scope
from streams.migration import status as migrate_status


def look(settings: Settings, session: Session) -> Iterator[CheckResult]:
    """Check each column under way, and report those of no table of the settings.

    It counts no rows.

    Raises:
        TransientError: Postgres does not answer.
    """
    for made in migrate_scope.mine(settings, session):
        check, amiss = f"migration of {made.name}", migrate_status.problem(session, made)
        if amiss is None:
            yield ok(
                check,
                f"is {made.state}, to {made.to_model}: vectrue migrate status says what comes next",
            )
        else:
            fix = amiss.typed(table_flags([made.table]))
            yield problem(check, amiss.why, fix, follows=[needs.table(str(made.table))])
    for one in migrate_status.elsewhere(settings, session):
        yield warning(f"migration of {one.migration.name}", one.sentence)
