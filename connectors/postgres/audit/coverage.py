"""Coverage as the database counts it: rows by state, of the reader's own tables.

The rule of each state is that of the view vectrue.coverage (`coverage_of` in
coverage.sql). The view itself is for people; it has the tables of every settings file.

Hazards:
- A count of 0 may mean that the table is empty or that its rows were not seen. So a
  table that was counted as empty is asked directly, and a count over something that is
  not a table is refused.
- A settings file may list a table that the installation does not keep, or keeps for
  another text. Such a table is reported; without it "all" would be wrong.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from connectors.postgres import guard, queries
from connectors.postgres.migrations import migration
from connectors.postgres.rows import wanted
from connectors.postgres.session import Session
from connectors.postgres.setup import counting, schema
from connectors.postgres.setup.counting import VectorColumn
from schemas.errors import ConfigurationError, VectrueError
from schemas.health.shape import KINDS
from schemas.reports.coverage import Coverage
from schemas.rows.table import TableName
from schemas.rows.target import Target
from schemas.settings.reading import Settings
from schemas.settings.sections import TableSettings


@dataclass(frozen=True, slots=True)
class Seen:
    """What was counted, and what was not.

    Attributes:
        columns: the columns that were counted, with those beside them in a migration,
            by name.
        targets: the target of each, in the same order.
        unseen: why a configured table was not counted, by its name.
        others: names of tables that the installation keeps and the settings do not
            list.
    """

    columns: tuple[Coverage, ...]
    targets: tuple[Target, ...]
    unseen: dict[str, ConfigurationError]
    others: tuple[str, ...]


def read(
    session: Session, settings: Settings, tables: Collection[str] | None = None
) -> list[Coverage]:
    """Count all rows of the settings' tables.

    It reads every row once, which takes seconds per million rows.

    Args:
        session: any connection that may read the tables.
        settings: the tables.
        tables: names of those to be counted; None for all of them.

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
    """Count as `read` does, but report tables that cannot be counted instead of raising.

    Raises:
        ConfigurationError: `vectrue init` was not run in this database.
        VectrueError: a table has rows that were not counted.
    """
    kept = counting.kept(session, settings.kafka.topic_prefix)
    if not kept:
        raise schema.unknown()
    asked: list[TableSettings] = []
    for table in settings.tables:
        if tables is None or table.name in tables:
            asked.append(table)
    listed = {str(table.table) for table in settings.tables}
    others = tuple(sorted({name for name, _ in kept} - listed))
    while True:
        before = migration.read(session)
        counted, unseen = _look(session, settings, kept, asked)
        # If a migration moved meanwhile, a column may have got another one's name.
        if migration.read(session) == before:
            counted.sort(key=lambda pair: (pair[0].table, pair[0].column))
            columns, targets = [], []
            for line, target in counted:
                columns.append(line)
                targets.append(target)
            return Seen(tuple(columns), tuple(targets), unseen, others)
        kept = counting.kept(session, settings.kafka.topic_prefix)


def is_empty(session: Session, table: TableName) -> bool:
    """Ask the table itself whether it has no row.

    Raises:
        HiddenRows: row-level security would hide rows.
    """
    exists = queries.compose("has_rows", table=queries.table(table))
    return not session.rows(exists)[0][0]


def unseen(table: TableName) -> VectrueError:
    """The error about existing rows that were not counted."""
    return VectrueError(
        f"how many rows {table} has is not known: none was counted, and there are some",
        fix="run `vectrue doctor`",
    )


def _look(
    session: Session,
    settings: Settings,
    kept: Collection[VectorColumn],
    tables: Sequence[TableSettings],
) -> tuple[list[tuple[Coverage, Target]], dict[str, ConfigurationError]]:
    counted: list[tuple[Coverage, Target]] = []
    unseen: dict[str, ConfigurationError] = {}
    for table in tables:
        try:
            counting.require_kept(settings, kept, [table])
            _require_table(session, table.table)
            targets = _targets(session, kept, table)
            # All columns of a table or none: the second may fail.
            counted += [(_count(session, target), target) for target in targets]
        except ConfigurationError as error:
            unseen[table.name] = error
    return counted, unseen


def _targets(
    session: Session, kept: Collection[VectorColumn], table: TableSettings
) -> list[Target]:
    """The target of a table, and of the column beside it in a migration."""
    here = (table.name, table.column)
    targets = []
    for name, column in sorted(kept, key=lambda place: place[1]):
        if counting.akin(here, (name, column)):
            configured = table.model_copy(update={"column": column})
            target, _ = wanted.resolve(session, configured)
            targets.append(target)
    return targets


def _count(session: Session, target: Target) -> Coverage:
    # Twice: the first row may have been inserted between the count and the check.
    for _ in range(2):
        lines = guard.around(
            target, lambda t: session.rows(queries.for_target("coverage_of", t, bound=False))
        )
        if not lines:
            # A migration ended a moment ago.
            raise ConfigurationError(
                f"vectrue no longer knows {target.name}", fix="run the command again"
            )
        # The query has the fields of Coverage, in their order.
        counted = Coverage(*lines[0])
        if counted.rows or is_empty(session, target.table):
            return counted
    raise unseen(target.table)


def _require_table(session: Session, table: TableName) -> None:
    parameters = {"names": [str(table)], "schemas": [table.schema], "tables": [table.name]}
    for name, kind in session.rows(queries.text("not_tables"), parameters):
        shown = KINDS.get(kind, f"relation of kind {kind}")
        raise ConfigurationError(
            f"how many rows {name} has is not known: it is a {shown}, which may show a part "
            "of them",
            fix="name the table that holds the rows in [[tables]], or give the table its name back",
        )
