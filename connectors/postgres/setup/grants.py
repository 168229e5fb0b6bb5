"""The rights of the worker's role: what its statements need on exactly the columns they
touch, and nothing else.

It owns nothing and cannot delete a row, read a column of the application that is
neither key nor text, or write one that is not a vector or its provenance. Only what is
missing is granted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from psycopg2 import sql

from connectors.postgres import queries
from connectors.postgres.checks import text_rights
from connectors.postgres.checks.neighbour import Examined
from connectors.postgres.checks.server import PARAMETER_GRANTS_FROM, Server
from connectors.postgres.session import Session
from connectors.postgres.setup.score_rights import WorkerExpression
from connectors.postgres.statement import Statement, render

_TRIGGERS_OFF = "session_replication_role"
_COSTS = "the worker's own writes come back as events, which costs one key look-up each"


LEDGER = "read vectrue's tables and keep its ledger"
"""What a description says of the tables in the schema vectrue."""

SYSTEM_COLUMNS = ("xmin", "tableoid", "ctid")
"""Which transaction wrote a row (`adopt` leaves out what was written since a moment),
and where a row is: its text is evaluated alone where another row's raises an error.
"""


@dataclass(frozen=True, slots=True)
class Grantee:
    """The role that is granted to, and the session of the role that grants."""

    session: Session
    role: str

    def grant(self, description: str, query: str, **parts: sql.Composable) -> Statement:
        """A statement from `GRANT ... TO {role}`; the description says what the role is
        let do.
        """
        composed = sql.SQL(query).format(role=sql.Identifier(self.role), **parts)
        return Statement(f"let role {self.role} {description}", render(self.session, composed))

    def lacking(self, oid: int, columns: Sequence[str], right: str) -> set[str]:
        """Those of a relation's columns that the role has no such right on; unknown
        names are left out.
        """
        parameters = {"role": self.role, "oid": oid, "columns": list(columns), "right": right}
        return set(self.session.rows(queries.text("missing_column_rights"), parameters)[0][0])


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
    texts = [(f"the text of table {examined.target.table}", examined.target) for examined in tables]
    named = [*texts, *((one.what, one.target) for one in asked)]
    needed = text_rights.needed(grantee.session, grantee.role, named)
    statements = _database(
        grantee, server, {*needed.schemas, *_schemas(server, tables)}, schema_changes=schema_changes
    )
    if needed.functions:
        names = sql.SQL(", ").join(map(sql.SQL, needed.functions))
        query = "GRANT EXECUTE ON FUNCTION {names} TO {role}"
        statements.append(
            grantee.grant(f"call {', '.join(needed.functions)} for its texts", query, names=names)
        )
    for examined in tables:
        statements += _table(grantee, examined)
        others = {
            oid: columns
            for oid, columns in examined.text_columns.items()
            if oid != examined.info.oid
        }
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


def _schemas(server: Server, tables: Sequence[Examined]) -> set[str]:
    return {examined.target.table.schema for examined in tables} | {
        server.vector_schema or "public",
        "vectrue",
    }


def _database(
    grantee: Grantee, server: Server, schemas: set[str], *, schema_changes: bool
) -> list[Statement]:
    parameters = {"role": grantee.role, "schemas": sorted(schemas)}
    database, unusable, reading, writing = grantee.session.rows(
        queries.text("missing_rights"), parameters
    )[0]
    statements = []
    if database:
        name = sql.Identifier(server.database)
        query = "GRANT CONNECT, TEMPORARY ON DATABASE {name} TO {role}"
        statements.append(grantee.grant("connect and make temporary tables", query, name=name))
    if unusable:
        names = sql.SQL(", ").join(sql.Identifier(schema) for schema in unusable)
        query = "GRANT USAGE ON SCHEMA {names} TO {role}"
        statements.append(
            grantee.grant(f"use the schemas {', '.join(unusable)}", query, names=names)
        )
    if schema_changes or reading or writing:
        statements.append(grantee.grant(LEDGER, queries.text("grant_vectrue")))
    return statements


def _table(grantee: Grantee, examined: Examined) -> list[Statement]:
    target, info = examined.target, examined.info
    written = [target.column, *target.provenance]
    text = examined.text_columns.get(info.oid)
    read = [
        *(column.name for column in target.key),
        *(text or ([] if text is None else info.columns)),
        *written,
    ]
    read += SYSTEM_COLUMNS
    rights = []
    for right, columns in (("SELECT", read), ("UPDATE", written)):
        # A column that is only planned yet is one that nobody has a right on.
        planned = set(columns) - {*info.columns, *SYSTEM_COLUMNS}
        lacking = grantee.lacking(info.oid, columns, right) | planned
        if lacking:
            names = [
                sql.Identifier(column) for column in dict.fromkeys(columns) if column in lacking
            ]
            rights.append(sql.SQL(right + " ({})").format(sql.SQL(", ").join(names)))
    if not rights:
        return []
    query = "GRANT {rights} ON TABLE {table} TO {role}"
    parts = {"rights": sql.SQL(", ").join(rights), "table": queries.table(target.table)}
    return [
        grantee.grant(
            f"read keys and texts of {target.table} and write its vectors", query, **parts
        )
    ]


def _relations(
    grantee: Grantee, columns_of: Mapping[int, tuple[str, ...]], what: str
) -> list[Statement]:
    statements = []
    for oid, columns in columns_of.items():
        lines = grantee.session.rows(queries.text("relation_columns"), {"oid": oid})
        schema, name, every = lines[0]
        lacking = grantee.lacking(oid, columns or every, "SELECT")
        if lacking:
            names = sql.SQL(", ").join(
                sql.Identifier(column) for column in every if column in lacking
            )
            query = "GRANT SELECT ({names}) ON TABLE {table} TO {role}"
            table = sql.Identifier(schema, name)
            statements.append(
                grantee.grant(f"read {what} in {schema}.{name}", query, names=names, table=table)
            )
    return statements


def _origin_functions(grantee: Grantee) -> tuple[list[Statement], list[str]]:
    lines = grantee.session.rows(queries.text("origin_functions"), {"role": grantee.role})
    lacking = [(name, grantable) for name, granted, grantable in lines if not granted]
    if not lacking:
        return [], []
    if not all(grantable for _, grantable in lacking):
        return [], [
            (
                f"role {grantee.role} may not use replication origins, and only a superuser can "
                f"grant it: {_COSTS}"
            )
        ]
    names = sql.SQL(", ").join(sql.SQL(name) for name, _ in lacking)
    query = "GRANT EXECUTE ON FUNCTION {names} TO {role}"
    return [grantee.grant("label its writes with a replication origin", query, names=names)], []


def _triggers_off(grantee: Grantee, server: Server) -> tuple[list[Statement], list[str]]:
    granted = bool(
        grantee.session.rows("SELECT rolsuper FROM pg_roles WHERE rolname = %s", (grantee.role,))[
            0
        ][0]
    )
    grantable = False
    if not granted and server.major >= PARAMETER_GRANTS_FROM:
        query = (
            "SELECT has_parameter_privilege(%s, %s, 'SET'), has_parameter_privilege(%s, 'SET "
            "WITH GRANT OPTION')"
        )
        granted, grantable = grantee.session.rows(
            query, (grantee.role, _TRIGGERS_OFF, _TRIGGERS_OFF)
        )[0]
    if granted:
        return [], []
    if not grantable:
        return [], [
            (
                f"role {grantee.role} may not set {_TRIGGERS_OFF}, which postgres.fire_triggers = "
                "false needs"
            )
        ]
    query = "GRANT SET ON PARAMETER session_replication_role TO {role}"
    return [grantee.grant("write without firing triggers", query)], []
