"""What is configured, compared with what is there, all the time and not at `init`
alone.

Hazards:
- Workers ask every few seconds, in the thread that works: the catalogue only, and a
  table that somebody locks is left for the next look (`impatient`).
- Rows are read by the table's name and published by its oid: a table that was swapped
  by renames is another one.
"""

import dataclasses
from collections.abc import Sequence
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
    tables = list(dict.fromkeys(table.table for table in settings.tables))
    wanted = {table: _wanted(session, settings, table) for table in tables}
    parameters = {
        "schemas": [table.schema for table in tables],
        "names": [table.name for table in tables],
        "columns": sorted(
            {name for columns in wanted.values() for names in columns for name in names}
        ),
        "publication": settings.postgres.publication,
        "slot": settings.slot,
    }
    role, database, lines, publication, slot = session.rows(queries.text("watched"), parameters)[0]
    shapes = [_table(line, wanted[TableName(line["schema"], line["name"])]) for line in lines or []]
    shapes = [_with_trouble(session, settings.tables, shape) for shape in shapes]
    members = (
        () if publication is None else tuple(TableName(*name) for name in publication["members"])
    )
    return Shape(
        role,
        database,
        tuple(shapes),
        publication
        and PublicationShape(
            bool(publication["changes"]), bool(publication["through_root"]), members
        ),
        slot and SlotShape(*slot),
    )


def impatient(connection: Connection) -> None:
    """Setup of a session that looks while a lane waits: a table that somebody locks is
    left for the next look.
    """
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '200ms'; SET statement_timeout = '20s'")


def _wanted(session: Session, settings: Settings, table: TableName) -> tuple[tuple[str, ...], ...]:
    """The vector columns of a table that are kept true, each with its provenance; in a
    migration there are two.
    """
    columns = [configured.column for configured in settings.tables if configured.table == table]
    if session.rows("SELECT to_regclass('vectrue.targets') IS NOT NULL")[0][0]:
        lines = session.rows(
            (
                "SELECT column_name, to_jsonb(target) ->> 'frozen' FROM vectrue.targets AS target "
                "WHERE table_name = %s"
            ),
            (str(table),),
        )
        frozen = {column for column, is_frozen in lines if is_frozen == "true"}
        columns = [column for column in columns if column not in frozen]
    return tuple(
        (target.column, *target.provenance)
        for target in (Target(table, column, "", (), "", 0) for column in columns)
    )


def _table(line: dict[str, Any], wanted: tuple[tuple[str, ...], ...]) -> TableShape:
    table = TableName(line["schema"], line["name"])
    if line["oid"] is None:
        return TableShape(table, None)
    return TableShape(
        table,
        int(line["oid"]),
        kind=line["kind"],
        persistence=line["persistence"],
        hides_rows=bool(line["hides_rows"]),
        key=tuple(
            KeyColumn(column["name"], column["type"], column["category"]) for column in line["key"]
        ),
        key_types=tuple(column["base"] for column in line["key"]),
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
    """The same, with the reason why a text of it cannot be evaluated; a locked table is
    left for the next look.
    """
    if shape.kind not in ("r", "p"):
        return shape
    for configured in (table for table in tables if table.table == shape.table):
        try:
            catalog.check_text(
                session, Target(shape.table, configured.column, configured.text, shape.key, "", 0)
            )
        except TableLocked:
            continue
        except ConfigurationError as error:
            hides = isinstance(error, HiddenRows)
            return dataclasses.replace(
                shape, trouble=Trouble(error.message, error.fix or INIT, hides)
            )
    return shape
