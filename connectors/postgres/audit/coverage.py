"""Coverage as the database counts it: of the tables in the reader's own settings,
whatever else the installation keeps.

The rule of each state is the one under the view vectrue.coverage (`coverage_of in
audit/coverage.sql`); the view itself is for people, and of what every `init` of every
settings file has made of it.

Hazards:
- A count of nothing is the same line for a table without rows and for rows that were
  not seen. So a table that was counted as empty is looked at directly, and a count over
  something that is not a table is refused.
- A settings file may list a table that the installation does not keep, or keeps by
  another text. It is named: to leave it out would make "all" a part.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from connectors.postgres import guard, queries
from connectors.postgres.migrations import migration
from connectors.postgres.rows import wanted
from connectors.postgres.session import Session
from connectors.postgres.setup import counting, schema
from connectors.postgres.setup.counting import Place
from schemas.errors import ConfigurationError, VectrueError
from schemas.health.shape import KINDS
from schemas.reports.coverage import Coverage
from schemas.rows.table import TableName
from schemas.rows.target import Target
from schemas.settings.reading import Settings
from schemas.settings.sections import TableSettings


@dataclass(frozen=True, slots=True)
class Seen:
    """What a look came to.

    Attributes:
        columns: the columns that were counted, and those beside them in a migration, by
            name.
        targets: what each of them is, in the same order.
        unseen: by the name of each configured table that was not counted, why.
        others: tables that the installation keeps true as well and the settings do not
            list, by name.
    """

    columns: tuple[Coverage, ...]
    targets: tuple[Target, ...]
    unseen: dict[str, ConfigurationError]
    others: tuple[str, ...]


def read(
    session: Session, settings: Settings, tables: Collection[str] | None = None
) -> list[Coverage]:
    """Count all rows of the settings' tables. Reads every row once: seconds per million
    rows.

    Args:
        session: any connection that may read the tables.
        settings: whose tables are counted.
        tables: names of those that are asked about; None: all of them.

    Raises:
        HiddenRows: row-level security would hide rows.
        ConfigurationError: one of the tables cannot be counted: `vectrue init` was not
            run with it, or it is gone.
        VectrueError: a table has rows that were not counted.
    """
    seen = look(session, settings, tables)
    for error in seen.unseen.values():
        raise error
    return list(seen.columns)


def look(session: Session, settings: Settings, tables: Collection[str] | None = None) -> Seen:
    """Count as `read` does, and tell which tables were not counted in place of giving
    up at the first.

    Raises:
        ConfigurationError: `vectrue init` was not run in this database.
        VectrueError: a table has rows that were not counted.
    """
    kept = counting.kept(session, settings.kafka.topic_prefix)
    if not kept:
        raise schema.unknown()
    asked = [table for table in settings.tables if tables is None or table.name in tables]
    listed = {str(table.table) for table in settings.tables}
    others = tuple(sorted({name for name, _ in kept} - listed))
    while True:
        before = migration.read(session)
        counted, unseen = _look(session, settings, kept, asked)
        # else a column took another's name in between
        if migration.read(session) == before:
            counted.sort(key=lambda pair: (pair[0].table, pair[0].column))
            return Seen(
                tuple(line for line, _ in counted), tuple(t for _, t in counted), unseen, others
            )
        kept = counting.kept(session, settings.kafka.topic_prefix)


def is_empty(session: Session, table: TableName) -> bool:
    """Whether a table has no row, asked of the table itself.

    Raises:
        HiddenRows: row-level security would hide rows.
    """
    exists = queries.compose("has_rows", table=queries.table(table))
    return not session.rows(exists)[0][0]


def unseen(table: TableName) -> VectrueError:
    """The error about rows that are there and were not counted."""
    return VectrueError(
        f"how many rows {table} has is not known: none was counted, and there are some",
        fix="vectrue doctor",
    )


def _look(
    session: Session, settings: Settings, kept: Collection[Place], tables: Sequence[TableSettings]
) -> tuple[list[tuple[Coverage, Target]], dict[str, ConfigurationError]]:
    counted: list[tuple[Coverage, Target]] = []
    unseen: dict[str, ConfigurationError] = {}
    for table in tables:
        try:
            counting.require_kept(settings, kept, [table])
            _require_table(session, table.table)
            here = (table.name, table.column)
            columns = sorted(column for name, column in kept if counting.akin(here, (name, column)))
            found = [
                wanted.resolve(session, table.model_copy(update={"column": column}))[0]
                for column in columns
            ]
            counted += [(_count(session, target), target) for target in found]
        except ConfigurationError as error:
            unseen[table.name] = error
    return counted, unseen


def _count(session: Session, target: Target) -> Coverage:
    for _ in range(2):  # a row may have come since
        lines = guard.around(
            target, lambda t: session.rows(queries.for_target("coverage_of", t, bound=False))
        )
        if not lines:  # a migration ended a moment ago
            raise ConfigurationError(
                f"vectrue does not know {target.name} any more", fix="call the command again"
            )
        counted = Coverage(*lines[0])
        if counted.rows or is_empty(session, target.table):
            return counted
    raise unseen(target.table)


def _require_table(session: Session, table: TableName) -> None:
    parameters = {"names": [str(table)], "schemas": [table.schema], "tables": [table.name]}
    for name, kind in session.rows(queries.text("not_tables"), parameters):
        raise ConfigurationError(
            f"how many rows {name} has is not known: it is a "
            f"{KINDS.get(kind, f'relation of kind {kind}')}, which may "
            "show a part of them",
            fix="name the table that holds the rows in [[tables]], or give the table its name back",
        )
