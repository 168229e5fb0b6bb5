"""Coverage as the database counts it, through the view that `embedsync init` makes."""

from connectors.postgres import queries
from connectors.postgres.session import Session
from schemas.coverage import Coverage
from schemas.errors import ConfigurationError


def read(session: Session) -> list[Coverage]:
    """Count all rows of all targets. Reads every row once: seconds per million rows.

    Raises:
        ConfigurationError: `embedsync init` was not run in this database.
    """
    if not session.rows("SELECT to_regclass('embedsync.coverage') IS NOT NULL")[0][0]:
        raise ConfigurationError("this database does not know embedsync yet", fix="run `embedsync init`")
    return [Coverage(*line) for line in session.rows(queries.text("read_coverage"))]
