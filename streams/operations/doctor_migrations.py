"""What `vectrue doctor` says of migrations under way: how far each is, and what
somebody did to its table.
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
    """A line for each column under way, and for those of no table of the settings;
    counts no row.

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
