"""Write searches and what people thought of them.

Hazard: Postgres cannot store a NUL, so one in a text becomes U+FFFD.
"""

import json
from collections.abc import Sequence
from typing import Any

from psycopg2.extras import execute_values

from connectors.postgres import queries
from connectors.postgres.session import Session
from schemas.reports.quality import Feedback, LoggedSearch

_SWEPT = 1_000
"""Searches deleted in one statement, which then does not take long."""


def write(session: Session, searches: Sequence[LoggedSearch]) -> None:
    """Keep searches, all or none."""
    lines = [_line(one) for one in searches]
    with session.transaction() as cursor:
        execute_values(cursor, queries.text("add_queries"), lines)


def give(session: Session, feedback: Feedback) -> tuple[bool, bool] | None:
    """Keep an opinion; of several on one row of a search, the last one counts.

    Returns:
        whether the search found that row, and whether the opinion is new; None if the
        search is not known.
    """
    parameters = {
        "query": str(feedback.query),
        "table": feedback.table,
        "key": list(feedback.key),
        "useful": feedback.useful,
    }
    lines = session.rows(queries.text("give_feedback"), parameters)
    return (bool(lines[0][0]), bool(lines[0][1])) if lines else None


def sweep(session: Session, seconds: float) -> bool:
    """Delete some of the searches that are older than so many seconds.

    Returns:
        whether there may be more of them.
    """
    with session.cursor() as cursor:
        cursor.execute(queries.text("forget_queries"), {"seconds": seconds, "limit": _SWEPT})
        return bool(cursor.rowcount >= _SWEPT)


def _line(one: LoggedSearch) -> tuple[Any, ...]:
    hits: list[dict[str, Any]] = []
    for hit in one.hits:
        hits.append({"table": hit.table, "key": hit.key, "similarity": hit.similarity})
    # Postgres cannot store a NUL.
    text = None if one.text is None else one.text.replace("\x00", "\ufffd")
    kept = json.dumps(hits, ensure_ascii=False)
    times = one.timings
    return (
        str(one.id),
        text,
        one.hmac,
        list(one.models),
        list(one.tables),
        kept,
        times.embed,
        times.database,
        times.total,
    )
