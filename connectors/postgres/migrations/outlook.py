"""What `migrate plan` asks Postgres: sizes, owners, functions that mention a column,
and room on the disk.

Hazards:
- Nothing here writes, and all of it may be asked by the workers' role; what that role
  is not told is None.
- A table with partitions holds nothing itself: its size and rows are those of its
  partitions.
- SQL knows no free space. It is told only where the server's directory is seen from
  here, and is that server's.
"""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from psycopg2.extensions import parse_dsn

from connectors.postgres import queries
from connectors.postgres.migrations.dependents import Dependent
from connectors.postgres.session import Session
from schemas.errors import VectrueError

_CONTROL = Path("global/pg_control")
_IDENTIFIER_BYTES = 8
"""pg_control begins with the system identifier, in the machine's byte order
(PostgreSQL, pg_control.h).
"""


@dataclass(frozen=True, slots=True)
class Sizes:
    """A table with its partitions.

    Attributes:
        bytes: with TOAST and without indexes; None when it is not told.
        rows: by the statistics; None when a part of it was never counted.
        leaves: how many tables hold the rows.
        spaces: oids of the tablespaces that they are in; 0 is the database's own.
    """

    bytes: int | None
    rows: int | None
    leaves: int
    spaces: tuple[int, ...]


def sizes(session: Session, oid: int) -> Sizes:
    """The table with this oid."""
    size, rows, leaves, spaces = session.rows(queries.text("tree_sizes"), {"oid": oid})[0]
    return Sizes(size, rows, leaves, tuple(spaces))


def owner(session: Session, oid: int, of: Dependent) -> str:
    """Whose a thing is that depends on a column of the table with this oid."""
    asked = {"kind": of.kind, "name": of.name, "oid": oid}
    return str(session.rows(queries.text("owner_of"), asked)[0][0])


def mentioning(session: Session, word: str) -> list[tuple[str, str]]:
    """Functions whose source mentions a word, with their owners; they may mean another
    table's column.
    """
    pattern = rf"(^|[^[:alnum:]_$]){re.escape(word)}($|[^[:alnum:]_$])"
    return [
        (name, whose)
        for name, whose in session.rows(queries.text("naming_functions"), {"word": pattern})
    ]


def may_change(session: Session, oid: int, dsn: str) -> tuple[str, str | None, bool | None]:
    """The owner of a table, the role that changes it, and whether that role may; None
    where it is not known.
    """
    role = parse_dsn(dsn).get("user")
    whose, may = session.rows(queries.text("owns_table"), {"oid": oid, "role": role})[0]
    return str(whose), role, may


def free_bytes(session: Session, spaces: tuple[int, ...]) -> int | None:
    """Room on the disk of a table; None where it cannot be known from here.

    Args:
        session: any connection.
        spaces: as in `Sizes`.
    """
    try:
        directory, identifier, of_database = session.rows(queries.text("where_data_is"))[0]
    except VectrueError:  # the role may not ask
        return None
    if not directory or len(spaces) != 1 or not _is_here(Path(directory), identifier):
        return None
    place = of_database
    if spaces[0]:
        place = session.rows("SELECT pg_tablespace_location(%s)", (spaces[0],))[0][0]
    try:
        return shutil.disk_usage(place or directory).free
    except OSError:
        return None


def _is_here(directory: Path, identifier: str) -> bool:
    """Whether this machine's directory of that name is that server's."""
    try:
        with (directory / _CONTROL).open("rb") as file:
            found = file.read(_IDENTIFIER_BYTES)
    except OSError:
        return False
    return identifier in {str(int.from_bytes(found, order)) for order in ("little", "big")}
