"""Postgres's conditions (SQLSTATE): which of them are about one row, and their names.

An error about a row must not affect other rows: halves are tried, and the row at fault
goes to quarantine. An error about the connection, a right, a lock or a missing object
says nothing about any row.

Hazard: a condition's message may quote the row, so only its name is ever shown.

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
        # A standby, which a failover may promote or replace.
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
"""Objects that do not exist, whatever the row."""

_ROW_CLASSES = frozenset({"21", "22", "23", "2F", "38", "39", "44", "54", "P0", "XX"})
"""Cardinality, data, integrity, SQL routines, external routines (two), WITH CHECK,
limits, RAISE, damaged data.
"""
_NAME_CLASSES = frozenset({"42", "3F"})
"""Unknown names and syntax errors: of the statement, or of what a row's value names
(`body::regclass`).
"""
_STATE_CLASSES = frozenset({"55"})
"""An object is in the wrong state for the statement."""
_NEVER_CLASSES = TRANSIENT_CLASSES | {"25", "28", "3D"}
_NEVER = TRANSIENT | {errorcodes.INSUFFICIENT_PRIVILEGE, errorcodes.LOCK_NOT_AVAILABLE}

NOT_OF_A_ROW: Final = tuple(sorted({f"{name}%" for name in _NEVER_CLASSES} | _NEVER))
"""Patterns of LIKE for conditions that are never about a row, for the query `of_no_row`.
"""
_RAISE = "exec_stmt_raise"
"""Function of the server (pl_exec.c) that executes RAISE."""
_OURS = "vectrue"
"""Part of every query within a function of ours, and of the function's name."""


def is_raised(error: psycopg2.Error) -> bool:
    """Whether RAISE in a function of the application made the error.

    That function then chose the condition and the message.
    """
    return error.diag.source_function == _RAISE


def is_of_a_row(error: psycopg2.Error, *, over_rows: bool = False) -> bool:
    """Whether an error may be one row's fault.

    Args:
        error: of a statement.
        over_rows: whether that statement evaluates texts.
    """
    # What RAISE makes is about the row, whichever condition it names.
    code = error.pgcode or ""
    if is_raised(error):
        return True
    if not code or code[:2] in _NEVER_CLASSES or code in _NEVER:
        return False
    # So is what a function of the application meets, which has a context.
    within = bool(error.diag.context)
    if code[:2] in _NAME_CLASSES and within:
        return not _is_ours(error)
    # An error in the statement has a position in it; one by a row's value has none.
    is_by_value = over_rows and not error.diag.statement_position and code[:2] not in _STATE_CLASSES
    return code[:2] in _ROW_CLASSES or within or is_by_value


def _is_ours(error: psycopg2.Error) -> bool:
    """Whether the wrong query is one of a function of ours, the innermost one."""
    innermost = (error.diag.context or "").partition("\n")[0]
    return _OURS in (error.diag.internal_query or "") and _OURS in innermost


def name(code: str | None) -> str:
    """The name of a condition: "InvalidTextRepresentation" for 22P02."""
    try:
        return errors.lookup(code or "").__name__
    except KeyError:
        # A function may raise any code, also five characters of a row's text.
        return "a condition of its own"
