"""Open a connection, and close it.

Before anything is set in a new connection, it is checked that no pooler hands it to
other clients (pooler.py). Then it gets the settings of all our sessions (pins.py).

Hazard: libpq and the server quote what they were given, so their errors never leave
this module untranslated.
"""

from collections.abc import Callable
from typing import Any

import psycopg2
import structlog
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import parse_dsn

from connectors.postgres import open_connections, pins, pooler
from connectors.postgres.errors import translate
from connectors.postgres.open_connections import OpenConnection
from schemas.errors import ConfigurationError, VectrueError

log = structlog.get_logger()

Guard = Callable[[Connection], None]
"""Run first on a new connection of a powerful role."""

_NETWORK: dict[str, Any] = {
    "connect_timeout": 5,  # seconds
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    # Milliseconds: a peer that is gone without a word is noticed after 20 s.
    "tcp_user_timeout": 20_000,
}
_STRINGS = "standard_conforming_strings"


def connected(dsn: str, role: str, guard: Guard | None = None) -> tuple[Connection, bool]:
    """Open a connection in autocommit, with the settings of all our sessions.

    Args:
        dsn: libpq connection string.
        role: what the connection is for, shown in pg_stat_activity.
        guard: run before anything else is set.

    Returns:
        the connection, and whether there is a pooler in session mode in between.

    Raises:
        ConfigurationError, TransientError: as `Session.connection`.
    """
    options = {"application_name": f"vectrue {role}", "client_encoding": "UTF8", **_NETWORK}
    opened: Connection | None = None
    try:
        opened = psycopg2.connect(dsn, **options)
        if opened.info.parameter_status(_STRINGS) == "off":
            opened.close()
            opened = _with_standard_strings(dsn, options)
        opened.autocommit = True
        # Before anything is set: other clients of a pooler would find it.
        pooled = pooler.is_between(opened, dsn, options)
        _remember(opened, dsn, guard, pooled=pooled)
        if guard:
            guard(opened)
        pins.apply(opened)
    except psycopg2.Error as error:
        close(opened)
        raise translate(error, dsn=dsn) from error
    except UnicodeError as error:
        # libpq took a setting from a variable, and psycopg2 cannot decode its message.
        close(opened)
        raise ConfigurationError(
            "a setting of the connection to Postgres is not UTF-8",
            fix="correct postgres.dsn and the variables PG...",
        ) from error
    except VectrueError:
        close(opened)
        raise
    return opened, pooled


def close(opened: Connection | None) -> None:
    """Close a connection, if there is one."""
    if opened is not None:
        open_connections.forget(opened)
        opened.close()


def reset(connection: Connection) -> None:
    """Undo what was set, before a pooler gives the connection to another client."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("ROLLBACK")
            cursor.execute("DISCARD ALL")
    except psycopg2.Error as error:
        reason = " ".join(str(error).split())
        log.info("the pooler's connection could not be reset", reason=reason)


def _remember(opened: Connection, dsn: str, guard: Guard | None, *, pooled: bool) -> None:
    # A pooler reports a process id of its own.
    pid = pooler.server_pid(opened) if pooled else opened.info.backend_pid
    open_connections.remember(opened, OpenConnection(pid, dsn, guard))


def _with_standard_strings(dsn: str, options: dict[str, Any]) -> Connection:
    # psycopg2 quotes by what the server reported at the start; it misses a later SET.
    asked = parse_dsn(dsn).get("options", "")
    standard = f"{asked} -c {_STRINGS}=on"
    opened: Connection = psycopg2.connect(dsn, **{**options, "options": standard})
    return opened
