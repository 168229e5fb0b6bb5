"""What every session sets, so that settings of role, database or server do not matter.

`PINNED` has one right value for every session. `LOCALE` and the search path are those
of the session that ran `init`, recorded in vectrue.installations. So the owner, workers
and every command find the same functions, and write dates and money in the same way.
The view that counts sets by itself what can change a text, so that psql counts as a
worker does.

Other settings are left alone, since they change no text and interrupt nothing: planner
and executor (another plan, the same rows), memory and disk, logging, tablespaces, and
those of a superuser (`lc_messages`, `max_stack_depth`, `zero_damaged_pages`). A text
that reads a parameter by `current_setting` is not a function of its row. `role` decides
whose rights count, which `init` grants.

Hazard: `RESET ALL`, run in our session by a function of the application, would undo all
of this.
"""

from collections.abc import Mapping

from psycopg2 import errors
from psycopg2.extensions import connection as Connection

from connectors.postgres import queries

MEANING: Mapping[str, str] = {
    # How values are written as text
    "TimeZone": "UTC",
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "postgres",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "xmlbinary": "base64",
    "xmloption": "content",
    "quote_all_identifiers": "off",
    # How literals and operators of the expression are read
    "array_nulls": "on",
    "backslash_quote": "safe_encoding",
    "standard_conforming_strings": "on",
    "timezone_abbreviations": "Default",
    "transform_null_equals": "off",
    # A policy that would hide rows is an error: a count or a read without them would
    # look like one of fewer rows.
    "row_security": "off",
    # An index scan within a text may otherwise leave out rows.
    "gin_fuzzy_search_limit": "0",
}
"""What a text, a key or a count may depend on. These are the server's own defaults,
except for time zone and date order.
"""

CONNECTION_CHECK = "client_connection_check_interval"
COURSE: Mapping[str, str] = {
    "statement_timeout": "0",
    "lock_timeout": "0",
    # Since PostgreSQL 17
    "transaction_timeout": "0",
    "idle_session_timeout": "0",
    # Since PostgreSQL 14, and on some platforms only. The server ends the statement of a
    # process that was killed.
    CONNECTION_CHECK: "2000",  # milliseconds
    # Never off: a worker that is suspended within a transaction must not keep the
    # application's rows locked.
    "idle_in_transaction_session_timeout": "60000",  # milliseconds
    "default_transaction_isolation": "read committed",
    "default_transaction_read_only": "off",
    "default_transaction_deferrable": "off",
    "exit_on_error": "off",
    # Since PostgreSQL 17. It may forbid views, also the one that counts.
    "restrict_nonsystem_relation_kind": "",
}
"""What may interrupt a session, or keep it from writing. Sessions with a time limit set
it afterwards.
"""

PINNED: Mapping[str, str] = {**MEANING, **COURSE}
LOCALE = ("default_text_search_config", "lc_monetary", "lc_numeric", "lc_time")
PATH = "search_path"
_GUARD = "SET search_path = pg_catalog, pg_temp"
_CLIENT = "SET client_encoding = 'UTF8'"
_DURABLE = (
    "SELECT set_config('synchronous_commit', 'on', false) "
    "WHERE current_setting('synchronous_commit') = 'off'"
)
"""An offset is committed after a vector, so the vector must be on disk. Settings between
`off` and `remote_apply` stay.
"""
_ORDINARY = (
    "SELECT set_config('session_replication_role', 'origin', false) "
    "WHERE current_setting('session_replication_role') <> 'origin'"
)
"""Triggers fire unless `postgres.fire_triggers` says otherwise. It is set only if it
differs, since that takes a right.
"""


def apply(connection: Connection) -> None:
    """Set what is the same for every session."""
    with connection.cursor() as cursor:
        cursor.execute(f"{_CLIENT}; {_ORDINARY}; {_DURABLE}")
    try:
        put(connection, PINNED)
    except errors.InvalidParameterValue:
        # On some platforms the server cannot notice that a client is gone, and takes
        # only 0.
        pinned = dict(PINNED)
        del pinned[CONNECTION_CHECK]
        put(connection, pinned)


def guard(connection: Connection) -> None:
    """Let unqualified names find only the server's own; call it before any query."""
    with connection.cursor() as cursor:
        cursor.execute(_GUARD)


def put(connection: Connection, settings: Mapping[str, str]) -> None:
    """Set these in the session, if they differ and this server knows them.

    Raises:
        psycopg2.Error: a value does not exist on this server, such as a locale of
            another one.
    """
    if not settings:
        return
    parameters = {"names": list(settings), "values": list(settings.values())}
    with connection.cursor() as cursor:
        cursor.execute(queries.text("pin_session"), parameters)


def recorded(connection: Connection, prefix: str | None) -> dict[str, str]:
    """The search path and locale that `init` recorded.

    Args:
        connection: in autocommit.
        prefix: kafka.topic_prefix of the installation; None for any, if all in the
            database agree.

    Returns:
        settings by name; none before the first `init`, or if several installations
        differ and none is named.
    """
    with connection.cursor() as cursor:
        try:
            cursor.execute(queries.text("recorded_meaning"), {"prefix": prefix})
        except (errors.UndefinedTable, errors.UndefinedColumn, errors.InvalidSchemaName):
            return {}
        except errors.InsufficientPrivilege:
            # `init` has not granted this role the schema vectrue yet.
            return {}
        lines = cursor.fetchall()
    if len(lines) != 1:
        return {}
    path, locale = lines[0]
    return {PATH: path, **locale}
