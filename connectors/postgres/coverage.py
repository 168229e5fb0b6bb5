"""Coverage as the database counts it, through the function that `embedsync init` makes for an installation."""

from psycopg2 import sql

from connectors.postgres import counting, queries
from connectors.postgres.session import Session
from schemas.coverage import Coverage
from schemas.errors import ConfigurationError
from schemas.settings import Settings


def read(session: Session, settings: Settings) -> list[Coverage]:
    """Count all rows of the settings' tables. Reads every row once: seconds per million rows.

    Raises:
        ConfigurationError: `embedsync init` was not run in this database, or not with all these tables.
    """
    name = counting.function_of(settings.kafka.topic_prefix)
    if not session.rows("SELECT to_regprocedure(%s) IS NOT NULL", (f"embedsync.{name}()",))[0][0]:
        raise ConfigurationError("this database does not know embedsync yet", fix="run `embedsync init`")
    counting.require(session, settings)
    mine = {table.name for table in settings.tables}
    query = queries.compose("read_coverage", function=sql.Identifier("embedsync", name))
    return [line for line in (Coverage(*found) for found in session.rows(query)) if line.table in mine]
