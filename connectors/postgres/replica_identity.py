"""Published tables whose UPDATEs Postgres refuses: the one price of a publication that no setting takes away.

Hazard: a table that loses its primary key, or a partition without one, has no replica identity, and then every UPDATE
of the application fails until it has. Only its owner can change that, so it is said, not done.
"""

from connectors.postgres import queries
from connectors.postgres.session import Session
from schemas.settings import Settings
from schemas.table import TableName
from schemas.witness import Difference


def differences(session: Session, settings: Settings) -> list[Difference]:
    """A sentence for each such table of our publication.

    Raises:
        TransientError: Postgres does not answer.
    """
    publication = settings.postgres.publication
    lines = session.rows(queries.text("without_identity"), {"publication": publication})
    return [_difference(str(TableName(schema, name)), publication) for schema, name in lines]


def _difference(table: str, publication: str) -> Difference:
    return Difference(
        f"Postgres refuses every UPDATE of {table}: it is published, and has no replica identity, since its primary "
        "key is gone or deferrable, or REPLICA IDENTITY is NOTHING",
        f"ALTER TABLE {table} ADD PRIMARY KEY (...), or REPLICA IDENTITY FULL until it has one; or ALTER PUBLICATION "
        f"{publication} DROP TABLE {table}",
    )
