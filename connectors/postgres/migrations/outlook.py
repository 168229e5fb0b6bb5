"""What `migrate plan` asks Postgres: sizes, owners, functions and room on the disk.

Hazards:
- Nothing here writes, and the workers' role may ask all of it; what that role may not
  know is None.
- A table with partitions holds nothing itself: its size and rows are those of its
  partitions.
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
"""pg_control begins with the system identifier (PostgreSQL, pg_control.h)."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """A table with its partitions.

    Attributes:
        bytes: with TOAST and without indexes; None where the role may not know.
        rows: by the statistics; None where a part of it was never analysed.
        leaves: how many tables hold the rows.
        spaces: oids of the tablespaces that they are in; 0 is the database's own.
    """

    bytes: int | None
    rows: int | None
    leaves: int
    spaces: tuple[int, ...]


def sizes(session: Session, oid: int) -> Sizes:
    """Measure the table with this oid."""
    size, rows, leaves, spaces = session.rows(queries.text("tree_sizes"), {"oid": oid})[0]
    return Sizes(size, rows, leaves, tuple(spaces))


def owner(session: Session, oid: int, of: Dependent) -> str:
    """The owner of what depends on a column of the table with this oid."""
    asked = {"kind": of.kind, "name": of.name, "oid": oid}
    return str(session.rows(queries.text("owner_of"), asked)[0][0])


def mentioning(session: Session, word: str) -> list[tuple[str, str]]:
    """Functions whose source mentions a word, with their owners."""
    # A source is text to the server: it may mean a column of another table.
    pattern = rf"(^|[^[:alnum:]_$]){re.escape(word)}($|[^[:alnum:]_$])"
    lines = session.rows(queries.text("naming_functions"), {"word": pattern})
    return [(name, whose) for name, whose in lines]


def may_change(session: Session, oid: int, dsn: str) -> tuple[str, str | None, bool | None]:
    """The owner of a table, the role that is to change it, and whether it may.

    Args:
        session: any connection.
        oid: the table.
        dsn: names that role.

    Returns:
        owner, role and answer; None where role or answer is not known.
    """
    role = parse_dsn(dsn).get("user")
    whose, may = session.rows(queries.text("owns_table"), {"oid": oid, "role": role})[0]
    return str(whose), role, may


def free_bytes(session: Session, spaces: tuple[int, ...]) -> int | None:
    """Free bytes on the disk of a table; None where they cannot be known from here.

    Args:
        session: any connection.
        spaces: as in `Sizes`.
    """
    try:
        directory, identifier, of_database = session.rows(queries.text("where_data_is"))[0]
    except VectrueError:
        # pg_control_system needs a right that the role may not have.
        return None
    # Partitions in several tablespaces may be on several disks.
    if not directory or len(spaces) != 1 or not _is_here(Path(directory), identifier):
        return None
    place = of_database
    if spaces[0]:
        place = session.rows("SELECT pg_tablespace_location(%s)", (spaces[0],))[0][0]
    # SQL cannot tell free space; here the data directory is this machine's.
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
    # In the byte order of the server's machine.
    little, big = int.from_bytes(found, "little"), int.from_bytes(found, "big")
    return identifier in (str(little), str(big))
