"""When a statement may be tried again on a new connection, and whether a connection
that idles has ended.

Hazard: after a lost connection nobody knows whether a statement that changes something
was run. Only what is known to read is tried again; a word of SQL that is not known to
be harmless makes it a change.
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
    r"\b(INSERT|UPDATE|DELETE|MERGE|TRUNCATE|INTO|CREATE|ALTER|DROP|GRANT|REVOKE|COPY|LOCK|SET|CALL|DO|ANALYZE|"
    r"BEGIN|COMMIT|ROLLBACK|PREPARE|EXECUTE|NOTIFY|LISTEN|REFRESH|VACUUM|REINDEX|CLUSTER|COMMENT)\b|"
    r"\b(set_config|setval|nextval|setseed|lo_\w+|dblink\w*|pg_(try_)?advisory\w*|"
    r"pg_(create|drop|copy|replication|terminate|cancel|logical|switch|reload|sync|notify)\w*)\s*\(",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Frame:
    """The statements around a transaction; `begin` may be tried again on a new
    connection.
    """

    begin: str = "BEGIN"
    commit: str = "COMMIT"
    rollback: str = "ROLLBACK"


PLAIN = Frame()


def only_reads(query: Any) -> bool:
    """Whether a statement can be run twice without a difference.

    Args:
        query: text, or composed by psycopg2; names and literals in it do not count.
    """
    text = _LITERALS.sub(" ", _words(query))
    return bool(_READS.match(text)) and not _CHANGES.search(text)


def has_ended(connection: Connection) -> bool:
    """Whether an idle connection has ended; asked without a round trip unless the
    server has said something.
    """
    if connection.closed:
        return True
    if connection.info.transaction_status != extensions.TRANSACTION_STATUS_IDLE:
        return False
    heard = select.poll()  # not select(), which takes descriptors below 1,024 only
    heard.register(connection.fileno(), select.POLLIN)
    if not heard.poll(0):
        return False
    try:  # a notice, or the end
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except psycopg2.Error:
        return True
    return False


def _words(query: Any) -> str:
    if isinstance(query, sql.Composed):
        return "".join(_words(part) for part in query.seq)
    if isinstance(query, sql.SQL):
        return str(query.string)
    return query if isinstance(query, str) else " "
