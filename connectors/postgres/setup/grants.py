"""The rights of the worker's role: what its statements need, and nothing else.

It owns nothing and cannot delete a row, read a column of the application that is
neither key nor text, or write one that is not a vector or its provenance. Only what is
missing is granted.

Hazard: a right that the granting role cannot grant is a notice, and the worker works
without it, at a cost.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from psycopg2 import sql

from connectors.postgres import queries
from connectors.postgres.checks import text_rights
from connectors.postgres.checks.neighbour import Examined
from connectors.postgres.checks.server import PARAMETER_GRANTS_FROM, Server
from connectors.postgres.session import Session
from connectors.postgres.setup import lists
from connectors.postgres.setup.score_rights import WorkerExpression
from connectors.postgres.statement import Statement, render
from schemas.rows.target import Target

_TRIGGERS_OFF = "session_replication_role"
_COSTS = "the worker's own writes come back as events, which costs one key look-up each"

LEDGER = "read vectrue's tables and keep its ledger"
"""What a description says of the tables in the schema vectrue."""

SYSTEM_COLUMNS = ("xmin", "tableoid", "ctid")
"""Which transaction wrote a row, and where it is.

`adopt` leaves out what was written since a moment; a text is evaluated alone where
another row's raises an error.
"""


@dataclass(frozen=True, slots=True)
class Grantee:
    """The role that is granted to, and the session of the role that grants."""

    session: Session
    role: str

    def grant(self, description: str, query: str, **parts: sql.Composable) -> Statement:
        """Make a statement from `GRANT ... TO {role}`.

        Args:
            description: what the role is let do.
            query: with a place for the role and for each of `parts`.
            parts: what stands in those places.
        """
        composed = sql.SQL(query).format(role=sql.Identifier(self.role), **parts)
        return Statement(f"let role {self.role} {description}", render(self.session, composed))

    def lacking(self, oid: int, columns: Sequence[str], right: str) -> set[str]:
        """Those of a relation's columns that the role has no such right on.

        Unknown names are left out.
        """
        parameters = {"role": self.role, "oid": oid, "columns": list(columns), "right": right}
        lines = self.session.rows(queries.text("missing_column_rights"), parameters)
        return set(lines[0][0])


def plan(
    grantee: Grantee,
    server: Server,
    tables: Sequence[Examined],
    asked: Sequence[WorkerExpression],
    *,
    schema_changes: bool,
    fire_triggers: bool,
) -> tuple[list[Statement], list[str]]:
    """Everything that the role lacks.

    Args:
        grantee: who is granted to, and through which session.
        server: what `server.check` returned.
        tables: the configured tables.
        asked: what else commands evaluate.
        schema_changes: whether tables or views of the schema vectrue are about to be
            made, so that rights on them cannot be looked up yet.
        fire_triggers: whether writes fire triggers; if not, the role must be allowed to
            switch them off.

    Returns:
        the statements, and a notice for each right that the granting role cannot grant.
    """
    needed = text_rights.needed(grantee.session, grantee.role, _named(tables, asked))
    schemas = {*needed.schemas, *_schemas(server, tables)}
    statements = _database(grantee, server, schemas, schema_changes=schema_changes)
    if needed.functions:
        does = f"call {', '.join(needed.functions)} for its texts"
        query = "GRANT EXECUTE ON FUNCTION {names} TO {role}"
        statements.append(grantee.grant(does, query, names=lists.plain(needed.functions)))
    for examined in tables:
        statements += _table(grantee, examined)
        others = dict(examined.text_columns)
        others.pop(examined.info.oid, None)
        statements += _relations(grantee, others, "the text")
    for one in asked:
        statements += _relations(grantee, one.columns, one.what)
    functions, notices = _origin_functions(grantee)
    statements += functions
    if not fire_triggers:
        triggers, more = _triggers_off(grantee, server)
        statements += triggers
        notices += more
    return statements, notices


def _named(
    tables: Sequence[Examined], asked: Sequence[WorkerExpression]
) -> list[tuple[str, Target]]:
    """Every expression that the role evaluates, with what it is called in a sentence."""
    named: list[tuple[str, Target]] = []
    for examined in tables:
        named.append((f"the text of table {examined.target.table}", examined.target))
    for one in asked:
        named.append((one.what, one.target))
    return named


def _schemas(server: Server, tables: Sequence[Examined]) -> set[str]:
    schemas = {"vectrue", server.vector_schema or "public"}
    for examined in tables:
        schemas.add(examined.target.table.schema)
    return schemas


def _database(
    grantee: Grantee, server: Server, schemas: set[str], *, schema_changes: bool
) -> list[Statement]:
    parameters = {"role": grantee.role, "schemas": sorted(schemas)}
    lines = grantee.session.rows(queries.text("missing_rights"), parameters)
    database, unusable, reading, writing = lines[0]
    statements = []
    if database:
        name = sql.Identifier(server.database)
        query = "GRANT CONNECT, TEMPORARY ON DATABASE {name} TO {role}"
        statements.append(grantee.grant("connect and make temporary tables", query, name=name))
    if unusable:
        does = f"use the schemas {', '.join(unusable)}"
        query = "GRANT USAGE ON SCHEMA {names} TO {role}"
        statements.append(grantee.grant(does, query, names=lists.identifiers(unusable)))
    # Rights on tables that the same plan makes cannot be looked up yet.
    if schema_changes or reading or writing:
        statements.append(grantee.grant(LEDGER, queries.text("grant_vectrue")))
    return statements


def _table(grantee: Grantee, examined: Examined) -> list[Statement]:
    target = examined.target
    rights: list[sql.Composed] = []
    for right, columns in (("SELECT", _read(examined)), ("UPDATE", _written(examined))):
        names = _lacking(grantee, examined, right, columns)
        if names:
            rights.append(sql.SQL(right + " ({})").format(lists.identifiers(names)))
    if not rights:
        return []
    return [
        grantee.grant(
            f"read keys and texts of {target.table} and write its vectors",
            "GRANT {rights} ON TABLE {table} TO {role}",
            rights=sql.SQL(", ").join(rights),
            table=queries.table(target.table),
        )
    ]


def _written(examined: Examined) -> list[str]:
    return [examined.target.column, *examined.target.provenance]


def _read(examined: Examined) -> list[str]:
    """The columns that are read: key, text, vector, and some of the system's."""
    columns = [column.name for column in examined.target.key]
    text = examined.text_columns.get(examined.info.oid)
    if text is not None:
        # An empty tuple: whole rows.
        columns += text or examined.info.columns
    return [*columns, *_written(examined), *SYSTEM_COLUMNS]


def _lacking(grantee: Grantee, examined: Examined, right: str, columns: Sequence[str]) -> list[str]:
    """Those of the columns that the role has no such right on, each once."""
    info = examined.info
    lacking = grantee.lacking(info.oid, columns, right)
    # No one has a right on a column that is only planned yet.
    lacking |= set(columns) - {*info.columns, *SYSTEM_COLUMNS}
    found: list[str] = []
    for column in dict.fromkeys(columns):
        if column in lacking:
            found.append(column)
    return found


def _relations(
    grantee: Grantee, columns_of: Mapping[int, tuple[str, ...]], what: str
) -> list[Statement]:
    statements: list[Statement] = []
    for oid, columns in columns_of.items():
        lines = grantee.session.rows(queries.text("relation_columns"), {"oid": oid})
        schema, name, every = lines[0]
        lacking = grantee.lacking(oid, columns or every, "SELECT")
        if lacking:
            # In the order of the table, which a set does not keep.
            names = [column for column in every if column in lacking]
            grant = grantee.grant(
                f"read {what} in {schema}.{name}",
                "GRANT SELECT ({names}) ON TABLE {table} TO {role}",
                names=lists.identifiers(names),
                table=sql.Identifier(schema, name),
            )
            statements.append(grant)
    return statements


def _origin_functions(grantee: Grantee) -> tuple[list[Statement], list[str]]:
    lacking: list[str] = []
    for name, granted, grantable in grantee.session.rows(
        queries.text("origin_functions"), {"role": grantee.role}
    ):
        if granted:
            continue
        if not grantable:
            notice = (
                f"role {grantee.role} may not use replication origins, and only a superuser can "
                f"grant it: {_COSTS}"
            )
            return [], [notice]
        lacking.append(name)
    if not lacking:
        return [], []
    query = "GRANT EXECUTE ON FUNCTION {names} TO {role}"
    does = "label its writes with a replication origin"
    return [grantee.grant(does, query, names=lists.plain(lacking))], []


def _triggers_off(grantee: Grantee, server: Server) -> tuple[list[Statement], list[str]]:
    rows = grantee.session.rows
    is_superuser = "SELECT rolsuper FROM pg_roles WHERE rolname = %s"
    granted, grantable = bool(rows(is_superuser, (grantee.role,))[0][0]), False
    # An older server lets superusers alone set it.
    if not granted and server.major >= PARAMETER_GRANTS_FROM:
        query = (
            "SELECT has_parameter_privilege(%s, %s, 'SET'), has_parameter_privilege(%s, 'SET "
            "WITH GRANT OPTION')"
        )
        granted, grantable = rows(query, (grantee.role, _TRIGGERS_OFF, _TRIGGERS_OFF))[0]
    if granted:
        return [], []
    if not grantable:
        notice = (
            f"role {grantee.role} may not set {_TRIGGERS_OFF}, which postgres.fire_triggers = "
            "false needs"
        )
        return [], [notice]
    query = "GRANT SET ON PARAMETER session_replication_role TO {role}"
    return [grantee.grant("write without firing triggers", query)], []
