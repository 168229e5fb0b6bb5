"""Which statements may be retried on a new connection, and whether an idle connection has
ended.

Hazard: after a lost connection it is not known whether a statement that changes
something was run. So only statements that are known to read are retried; any word of
SQL that may change something makes a statement a change.
"""

import re
import select
from dataclasses import dataclass
from typing import Any

import psycopg2
from psycopg2 import extensions, sql
from psycopg2.extensions import connection as Connection

_LITERALS = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|--[^\n]*|/\*.*?\*/", re.DOTALL)
_READS = re.compile(r"\s*(SELECT|WITH|EXPLAIN|SHOW|TABLE|VALUES)\b", re.IGNORECASE)
_CHANGES = re.compile(
    r"\b(INSERT|UPDATE|DELETE|MERGE|TRUNCATE|INTO|CREATE|ALTER|DROP|GRANT|REVOKE|COPY|"
    r"LOCK|SET|CALL|DO|ANALYZE|BEGIN|COMMIT|ROLLBACK|PREPARE|EXECUTE|NOTIFY|LISTEN|"
    r"REFRESH|VACUUM|REINDEX|CLUSTER|COMMENT)\b|"
    r"\b(set_config|setval|nextval|setseed|lo_\w+|dblink\w*|pg_(try_)?advisory\w*|"
    r"pg_(create|drop|copy|replication|terminate|cancel|logical|switch|reload|sync|"
    r"notify)\w*)\s*\(",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Frame:
    """The statements around a transaction; `begin` may be retried on a new connection."""

    begin: str = "BEGIN"
    commit: str = "COMMIT"
    rollback: str = "ROLLBACK"


PLAIN = Frame()


def only_reads(query: Any) -> bool:
    """Whether it makes no difference to run a statement twice.

    Args:
        query: text, or composed by psycopg2; names and literals in it do not count.
    """
    text = _LITERALS.sub(" ", _words(query))
    return bool(_READS.match(text)) and not _CHANGES.search(text)


def has_ended(connection: Connection) -> bool:
    """Whether an idle connection has ended.

    It takes a round trip only if the server has sent something.
    """
    if connection.closed:
        return True
    if connection.info.transaction_status != extensions.TRANSACTION_STATUS_IDLE:
        return False
    # select() would take only descriptors below 1,024.
    heard = select.poll()
    heard.register(connection.fileno(), select.POLLIN)
    if not heard.poll(0):
        return False
    # The server has sent a notice, or the end of the connection.
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except psycopg2.Error:
        return True
    return False


def _words(query: Any) -> str:
    if isinstance(query, sql.Composed):
        return "".join([_words(part) for part in query.seq])
    if isinstance(query, sql.SQL):
        return str(query.string)
    return query if isinstance(query, str) else " "
