"""What is configured, compared with what is there: all the time, not at `init` alone.

Hazards:
- Workers ask every few seconds, in the thread that works: the catalogue only, and a
  table that another session locks is left for the next look (`impatient`).
- Rows are read by the table's name and published by its oid: a table that was swapped
  by renames is another one.
"""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

from psycopg2.extensions import connection as Connection

from connectors.postgres import catalog, queries
from connectors.postgres.session import Session
from schemas.errors import ConfigurationError, HiddenRows, TableLocked
from schemas.health.shape import (
    INIT,
    PublicationShape,
    Shape,
    ShapeDifference,
    SlotShape,
    TableShape,
    Trouble,
    compare,
)
from schemas.health.witness import Difference
from schemas.rows.table import TableName
from schemas.rows.target import KeyColumn, Target
from schemas.settings.reading import Settings
from schemas.settings.sections import TableSettings

WatchedColumns = tuple[tuple[str, ...], ...]
"""Vector columns of a table that are kept true, each followed by its provenance."""


def differences(session: Session, settings: Settings) -> list[Difference]:
    """Everything configured that is not what is there.

    Raises:
        TransientError: Postgres does not answer.
    """
    return [one.difference for one in found(read(session, settings), settings)]


def found(shape: Shape, settings: Settings) -> list[ShapeDifference]:
    """As `differences`, with what each does to a worker."""
    return compare(shape, publication=settings.postgres.publication, slot=settings.slot)


def read(session: Session, settings: Settings) -> Shape:
    """Everything configured, as it is there.

    Raises:
        TransientError: Postgres does not answer.
    """
    wanted: dict[TableName, WatchedColumns] = {}
    for configured in settings.tables:
        if configured.table not in wanted:
            wanted[configured.table] = _wanted(session, settings, configured.table)
    parameters = {
        "schemas": [table.schema for table in wanted],
        "names": [table.name for table in wanted],
        "columns": _names(wanted.values()),
        "publication": settings.postgres.publication,
        "slot": settings.slot,
    }
    # One statement, so that everything is as of one moment.
    role, database, lines, publication, slot = session.rows(queries.text("watched"), parameters)[0]
    shapes: list[TableShape] = []
    for line in lines or []:
        shape = _table(line, wanted[TableName(line["schema"], line["name"])])
        shapes.append(_with_trouble(session, settings.tables, shape))
    return Shape(
        role,
        database,
        tables=tuple(shapes),
        publication=publication and _publication(publication),
        slot=slot and SlotShape(*slot),
    )


def _names(wanted: Iterable[WatchedColumns]) -> list[str]:
    """All names of the columns, each once."""
    columns: set[str] = set()
    for vectors in wanted:
        for names in vectors:
            columns.update(names)
    return sorted(columns)


def _publication(found: dict[str, Any]) -> PublicationShape:
    members = tuple(TableName(*name) for name in found["members"])
    return PublicationShape(bool(found["changes"]), bool(found["through_root"]), members)


def impatient(connection: Connection) -> None:
    """Set up a session that looks while a lane waits."""
    # A table that another session locks is left for the next look.
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '200ms'; SET statement_timeout = '20s'")


def _wanted(session: Session, settings: Settings, table: TableName) -> WatchedColumns:
    frozen = _frozen(session, table)
    wanted: list[tuple[str, ...]] = []
    for configured in settings.tables:
        if configured.table == table and configured.column not in frozen:
            target = Target(table, configured.column, "", (), "", 0)
            wanted.append((target.column, *target.provenance))
    return tuple(wanted)


def _frozen(session: Session, table: TableName) -> set[str]:
    """The vector columns of a table that a migration keeps no more."""
    if not session.rows("SELECT to_regclass('vectrue.targets') IS NOT NULL")[0][0]:
        return set()
    # By to_jsonb: the column does not exist before its migration.
    query = (
        "SELECT column_name, to_jsonb(target) ->> 'frozen' FROM vectrue.targets AS target "
        "WHERE table_name = %s"
    )
    frozen: set[str] = set()
    for column, is_frozen in session.rows(query, (str(table),)):
        if is_frozen == "true":
            frozen.add(column)
    return frozen


def _table(line: dict[str, Any], wanted: WatchedColumns) -> TableShape:
    table = TableName(line["schema"], line["name"])
    if line["oid"] is None:
        return TableShape(table, None)
    key: list[KeyColumn] = []
    types: list[str] = []
    for column in line["key"]:
        key.append(KeyColumn(column["name"], column["type"], column["category"]))
        types.append(column["base"])
    return TableShape(
        table,
        int(line["oid"]),
        kind=line["kind"],
        persistence=line["persistence"],
        hides_rows=bool(line["hides_rows"]),
        key=tuple(key),
        key_types=tuple(types),
        key_usable=bool(line["key_usable"]),
        identity=line["identity"],
        changed_by=int(line["changed_by"]),
        columns=line["columns"],
        wanted=wanted,
        published=bool(line["published"]),
        filtered=bool(line["filtered"]),
        listed=None if line["listed"] is None else tuple(line["listed"]),
    )


def _with_trouble(
    session: Session, tables: Sequence[TableSettings], shape: TableShape
) -> TableShape:
    """The same, with the reason why a text of it cannot be evaluated."""
    if shape.kind not in ("r", "p"):
        return shape
    for configured in tables:
        if configured.table != shape.table:
            continue
        target = Target(shape.table, configured.column, configured.text, shape.key, "", 0)
        try:
            catalog.check_text(session, target)
        # A locked table is left for the next look.
        except TableLocked:
            continue
        except ConfigurationError as error:
            hides = isinstance(error, HiddenRows)
            trouble = Trouble(error.message, error.fix or INIT, hides)
            return dataclasses.replace(shape, trouble=trouble)
    return shape
