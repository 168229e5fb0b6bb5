"""What a role needs for an expression: schemas of its names, functions, columns.

Hazard: a function that is called by another one is not known before it runs;
PostgreSQL's own message then names it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import psycopg2
import structlog
from psycopg2 import sql

from connectors.postgres import queries
from connectors.postgres.checks import text_check
from connectors.postgres.expressions import viewed
from connectors.postgres.session import Session
from connectors.postgres.setup import lists, meaning
from connectors.postgres.statement import render
from schemas.errors import ConfigurationError, TransientError, VectrueError
from schemas.rows.target import Target

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class NeededRights:
    """What the role needs.

    Attributes:
        schemas: that it must be able to use.
        functions: that it has no right to call yet, and can be granted.
    """

    schemas: tuple[str, ...]
    functions: tuple[str, ...]


def needed(session: Session, role: str, expressions: Sequence[tuple[str, Target]]) -> NeededRights:
    """Look at what these expressions name.

    Args:
        session: pinned; of the role that grants.
        role: of the workers.
        expressions: what each is called in a sentence, and a column that has it as its
            text.

    Raises:
        ConfigurationError: a function may be neither called nor granted.
    """
    # A schema that the role may not use is passed over, and a name in it may then be
    # found in a later one.
    path = meaning.parts(session.path)
    schemas = {name for (name,) in session.rows(queries.text("path_schemas"), {"names": path})}
    functions: set[str] = set()
    for what, target in expressions:
        with viewed(session, target) as cursor:
            cursor.execute(queries.for_target("text_objects", target), {"role": role})
            used, lacking, not_grantable = cursor.fetchall()[0]
        out_of_reach = sorted(set(lacking) & set(not_grantable))
        if out_of_reach:
            raise ConfigurationError(
                f"role {role} may not call {out_of_reach[0]}, which {what} calls",
                fix=f'as its owner: GRANT EXECUTE ON FUNCTION {out_of_reach[0]} TO "{role}"',
            )
        schemas |= set(used)
        functions |= set(lacking)
    return NeededRights(tuple(sorted(schemas)), tuple(sorted(functions)))


def refused(
    session: Session, target: Target, expression: str, what: str, error: psycopg2.Error
) -> ConfigurationError:
    """The sentence about an expression that the connected role may not evaluate.

    Args:
        session: of that role.
        target: a column of the table.
        expression: on the table's columns; `expressions.refusal` has passed it.
        what: what it is called where it was given.
        error: what the server said.
    """
    role = session.connection().info.user
    try:
        reads = text_check.columns(session, replace(target, text=expression))
        for relation, columns in reads.items():
            lacking = _lacking(session, role, relation, columns, what)
            if lacking is not None:
                return lacking
    except TransientError:
        raise
    # It may make no temporary view, or use no schema; the server said enough.
    except VectrueError as unknown:
        log.debug("which right is missing could not be looked up", reason=str(unknown))
    said = error.diag.message_primary or "a right is missing"
    return ConfigurationError(
        f"role {role} may not evaluate {what} ({said})",
        fix=f'as an owner: GRANT what is missing TO "{role}"',
    )


def _lacking(
    session: Session, role: str, relation: int, columns: Sequence[str], what: str
) -> ConfigurationError | None:
    schema, name, every = session.rows(queries.text("relation_columns"), {"oid": relation})[0]
    # No columns: the expression reads whole rows.
    asked = {"role": role, "oid": relation, "columns": list(columns or every), "right": "SELECT"}
    lacking = session.rows(queries.text("missing_column_rights"), asked)[0][0]
    if not lacking:
        return None
    query = sql.SQL("GRANT SELECT ({}) ON {} TO {}").format(
        lists.identifiers(lacking), sql.Identifier(schema, name), sql.Identifier(role)
    )
    grant = render(session, query)
    return ConfigurationError(
        f"role {role} may not read {', '.join(lacking)} of {schema}.{name}, which {what} names",
        fix=f"as an owner of the table: {grant}",
    )
