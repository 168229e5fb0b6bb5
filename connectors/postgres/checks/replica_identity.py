"""Published tables whose UPDATEs Postgres refuses.

This is the one cost of a publication that no setting takes away.

Hazard: a table that loses its primary key, or a partition without one, has no replica
identity, and then every UPDATE of the application fails until it has. Only its owner
can change that, so it is said, not done.
"""

from connectors.postgres import queries
from connectors.postgres.session import Session
from schemas.health.witness import Difference
from schemas.rows.table import TableName
from schemas.settings.reading import Settings

_CAUSES = {
    "n": ("it has REPLICA IDENTITY NOTHING", "ALTER TABLE {} REPLICA IDENTITY DEFAULT"),
    "i": ("the index of its replica identity is gone", "ALTER TABLE {} REPLICA IDENTITY DEFAULT"),
    "d": (
        "it has no primary key, or a deferrable one",
        (
            "ALTER TABLE {} ADD PRIMARY KEY (...), or ALTER TABLE {} REPLICA IDENTITY FULL "
            "until it has one"
        ),
    ),
}
"""What to say and do, by pg_class.relreplident."""


def differences(session: Session, settings: Settings) -> list[Difference]:
    """A sentence for each such table of our publication. Raises as `by_table`."""
    found: list[Difference] = []
    for one in by_table(session, settings).values():
        found += one
    return found


def by_table(session: Session, settings: Settings) -> dict[TableName, list[Difference]]:
    """The same by published table: the root where a partition is meant.

    Raises:
        TransientError: Postgres does not answer.
    """
    publication = settings.postgres.publication
    lines = session.rows(queries.text("without_identity"), {"publication": publication})
    found: dict[TableName, list[Difference]] = {}
    for schema, name, identity, *root in lines:
        published, table = TableName(*root), str(TableName(schema, name))
        why, fix = _CAUSES[identity]
        leave = f"ALTER PUBLICATION {publication} DROP TABLE {published}"
        difference = Difference(
            f"Postgres refuses every UPDATE of {table}, which is published: {why}",
            f"{fix.format(table, table)}; or {leave}",
            f"table {published}",
        )
        found.setdefault(published, []).append(difference)
    return found
