"""What every session of ours sets, so that a role's, a database's or a server's
settings change nothing.

`PINNED` holds what has one right value for everybody. `LOCALE` and the search path are
those of the session that ran `init`, recorded in vectrue.installations: owner, workers
and every command then find the same functions, and write dates and money in the same
way. The view that counts has all that can change a text as SET clauses of its own, so
that somebody's psql counts as a worker does.

Left alone, since they change no text and interrupt nothing: the planner's and
executor's settings (another plan, the same rows), memory and disk, logging, default
tablespaces. A superuser's settings (`lc_messages`, `max_stack_depth`,
`zero_damaged_pages`) are the server's. Parameters of an application or an extension
that a text reads by `current_setting` make it no function of its row. `role` decides
whose rights count, which `init` grants.

Hazard: `RESET ALL`, run by a function of the application in our session, would take all
of it away.
"""

from collections.abc import Mapping

from psycopg2 import errors
from psycopg2.extensions import connection as Connection

from connectors.postgres import queries

MEANING: Mapping[str, str] = {
    # How values are written as text.
    "TimeZone": "UTC",
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "postgres",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "xmlbinary": "base64",
    "xmloption": "content",
    "quote_all_identifiers": "off",
    # How literals and operators of the expression are read.
    "array_nulls": "on",
    "backslash_quote": "safe_encoding",
    "standard_conforming_strings": "on",
    "timezone_abbreviations": "Default",
    "transform_null_equals": "off",
    # A policy that would hide rows is an error: a count or a read that leaves rows out
    # looks like one of fewer rows.
    "row_security": "off",
    # Rows that an index scan within a text may leave out.
    "gin_fuzzy_search_limit": "0",
}
"""What a text, a key or a count may depend on; the server's own defaults, but for the
time zone and date order.
"""

CONNECTION_CHECK = "client_connection_check_interval"
COURSE: Mapping[str, str] = {
    "statement_timeout": "0",
    "lock_timeout": "0",
    "transaction_timeout": "0",  # since PostgreSQL 17
    "idle_session_timeout": "0",
    # Since PostgreSQL 14, and on some platforms only: a process of ours that was killed
    # leaves no statement running.
    CONNECTION_CHECK: "2000",  # milliseconds
    # Never none: a worker that is stopped within a transaction must let go of the
    # application's rows.
    "idle_in_transaction_session_timeout": "60000",  # milliseconds
    "default_transaction_isolation": "read committed",
    "default_transaction_read_only": "off",
    "default_transaction_deferrable": "off",
    "exit_on_error": "off",
    # since PostgreSQL 17: views would be refused, ours that counts too
    "restrict_nonsystem_relation_kind": "",
}
"""What may interrupt a session, or keep it from writing; what has a limit of its own
sets it afterwards.
"""

PINNED: Mapping[str, str] = {**MEANING, **COURSE}
LOCALE = ("default_text_search_config", "lc_monetary", "lc_numeric", "lc_time")
PATH = "search_path"
_GUARD = "SET search_path = pg_catalog, pg_temp"
_CLIENT = "SET client_encoding = 'UTF8'"
_DURABLE = (
    "SELECT set_config('synchronous_commit', 'on', false) WHERE "
    "current_setting('synchronous_commit') = 'off'"
)
"""An offset is committed behind a vector, so the vector must be on disk. What waits for
less or more stays.
"""
_ORDINARY = (
    "SELECT set_config('session_replication_role', 'origin', false) "
    "WHERE current_setting('session_replication_role') <> 'origin'"
)
"""Triggers fire unless `postgres.fire_triggers` says otherwise; set only where it
differs, which takes a right.
"""


def apply(connection: Connection) -> None:
    """Set what is the same for every session."""
    with connection.cursor() as cursor:
        cursor.execute(f"{_CLIENT}; {_ORDINARY}; {_DURABLE}")
    try:
        put(connection, PINNED)
    except errors.InvalidParameterValue:
        # A server's platform may know no way to see that a client is gone, and takes 0
        # only.
        put(connection, {name: value for name, value in PINNED.items() if name != CONNECTION_CHECK})


def guard(connection: Connection) -> None:
    """Have unqualified names mean the server's own alone; before anything else is
    asked.
    """
    with connection.cursor() as cursor:
        cursor.execute(_GUARD)


def put(connection: Connection, settings: Mapping[str, str]) -> None:
    """Set these for the session, where they differ and this server knows them.

    Raises:
        psycopg2.Error: a value does not exist on this server, such as a locale of
            another one.
    """
    if not settings:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            queries.text("pin_session"),
            {"names": list(settings), "values": list(settings.values())},
        )


def recorded(connection: Connection, prefix: str | None) -> dict[str, str]:
    """The search path and locale that `init` recorded.

    Args:
        connection: in autocommit.
        prefix: kafka.topic_prefix of the installation; None: of any, where all of the
            database agree.

    Returns:
        nothing before the first `init`, or where several installations differ and none
        is named.
    """
    with connection.cursor() as cursor:
        try:
            cursor.execute(queries.text("recorded_meaning"), {"prefix": prefix})
        except (errors.UndefinedTable, errors.UndefinedColumn, errors.InvalidSchemaName):
            return {}
        except errors.InsufficientPrivilege:
            return {}  # a role that may not read the schema vectrue yet: `init` lets it
        lines = cursor.fetchall()
    return {PATH: lines[0][0], **lines[0][1]} if len(lines) == 1 else {}
