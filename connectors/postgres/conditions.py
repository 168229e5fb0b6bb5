"""Postgres's conditions (SQLSTATE): which are about one row, and what each is called.

What is about a row harms no other: halves are tried, and the row that is left goes to
quarantine. What is about the connection, a right, a lock or an object that is missing
says nothing about any row.

Hazard: a condition's message may quote the row, so only its name is ever told.

Source: PostgreSQL documentation, appendix A, "PostgreSQL Error Codes".
"""

from typing import Final

import psycopg2
from psycopg2 import errorcodes, errors

TRANSIENT_CLASSES: Final = frozenset({"08", "40", "53", "57", "58"})
"""Connection, rollback, resources, intervention, system."""
TRANSIENT: Final = frozenset(
    {
        errorcodes.OBJECT_IN_USE,
        errorcodes.IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
        # a standby, which a failover may promote or replace
        errorcodes.READ_ONLY_SQL_TRANSACTION,
        "25P04",  # transaction_timeout, since PostgreSQL 17
    }
)
MISSING: Final = frozenset(
    {
        errorcodes.UNDEFINED_TABLE,
        errorcodes.UNDEFINED_COLUMN,
        errorcodes.UNDEFINED_FUNCTION,
        errorcodes.UNDEFINED_OBJECT,
        errorcodes.INVALID_SCHEMA_NAME,
    }
)
"""Objects that are not there, for no row."""

_ROW_CLASSES = frozenset({"21", "22", "23", "2F", "38", "39", "44", "54", "P0", "XX"})
"""Cardinality, data, integrity, SQL routines, external routines (two), WITH CHECK,
limits, RAISE, damaged data.
"""
_NAME_CLASSES = frozenset({"42", "3F"})
"""Names that stand for nothing, and syntax: of the statement, or of what a row's value
names (`body::regclass`).
"""
_STATE_CLASSES = frozenset({"55"})
"""An object is in no state for the statement."""
_NEVER_CLASSES = TRANSIENT_CLASSES | {"25", "28", "3D"}
_NEVER = TRANSIENT | {errorcodes.INSUFFICIENT_PRIVILEGE, errorcodes.LOCK_NOT_AVAILABLE}

NOT_OF_A_ROW: Final = tuple(sorted({f"{name}%" for name in _NEVER_CLASSES} | _NEVER))
"""The same as patterns of LIKE, for what is raised within a function of ours over one
row.
"""
_RAISE = "exec_stmt_raise"
"""Function of the server (pl_exec.c) that raises what a function of the application
says.
"""
_OURS = "vectrue"
"""Stands in every query within a function of ours, and in the function's name."""


def is_raised(error: psycopg2.Error) -> bool:
    """Whether a RAISE of the application made the error; then condition and message are
    its own words.
    """
    return error.diag.source_function == _RAISE


def is_of_a_row(error: psycopg2.Error, *, over_rows: bool = False) -> bool:
    """Whether an error may be one row's fault.

    Whatever a function of the application meets is, but for the exceptions above; what
    it raises by itself is without exception, whatever it calls that. What is wrong with
    the statement has a place in it; a row's value has none.

    Args:
        error: of a statement.
        over_rows: whether that statement evaluates texts.
    """
    code = error.pgcode or ""
    if is_raised(error):
        return True
    if not code or code[:2] in _NEVER_CLASSES or code in _NEVER:
        return False
    within = bool(error.diag.context)
    if code[:2] in _NAME_CLASSES and within:
        return not _is_ours(error)
    is_by_value = over_rows and not error.diag.statement_position and code[:2] not in _STATE_CLASSES
    return code[:2] in _ROW_CLASSES or within or is_by_value


def _is_ours(error: psycopg2.Error) -> bool:
    """Whether the query that does not stand is one of a function of ours, which then is
    the innermost one.
    """
    innermost = (error.diag.context or "").partition("\n")[0]
    return _OURS in (error.diag.internal_query or "") and _OURS in innermost


def name(code: str | None) -> str:
    """What Postgres calls a condition: "InvalidTextRepresentation" for 22P02.

    A function may raise codes of its own, which may be five characters of a row's text:
    those are not told.
    """
    try:
        return errors.lookup(code or "").__name__
    except KeyError:
        return "a condition of its own"
