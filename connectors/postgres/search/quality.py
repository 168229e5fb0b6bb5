"""Figures of judged queries, kept and read; and feedback, read.

Hazard: a database that `vectrue init` has not brought up to date has no such tables:
nothing is known then.
"""

from collections.abc import Sequence
from dataclasses import asdict

from connectors.postgres import queries
from connectors.postgres.session import Session
from connectors.postgres.setup import schema
from schemas.errors import ConfigurationError
from schemas.reports.quality import Opinions, Quality, QualityRun
from schemas.rows.table import Key

KEPT = 1_000
"""Runs of a table that are kept: six weeks of one an hour."""


def require(session: Session, table: str) -> None:
    """Refuse to begin what is to be kept in a table of the schema vectrue that is not
    there, or not ours to write.

    Args:
        session: of the role that will write.
        table: its name, without the schema.

    Raises:
        ConfigurationError: as above.
    """
    query = "SELECT coalesce(has_table_privilege(to_regclass(%s), 'INSERT'), false)"
    if not session.rows(query, (f"vectrue.{table}",))[0][0]:
        raise ConfigurationError(
            f"there is no table vectrue.{table} that this role may write",
            fix="vectrue init, as an owner of the tables",
        )


def keep(session: Session, run: QualityRun) -> None:
    """Keep the figures, and of older ones the newest `KEPT`; the time is the server's."""
    with session.transaction() as cursor:
        cursor.execute(queries.text("add_quality_run"), asdict(run))
        cursor.execute(queries.text("forget_quality_runs"), {"table": run.table, "keep": KEPT})


def last(session: Session) -> dict[str, Quality]:
    """The last figures by table; nothing of a table whose judged queries were never
    asked.
    """
    if not schema.exists(session, "vectrue.quality_runs"):
        return {}
    found: dict[str, Quality] = {}
    for is_before, age, *line in session.rows(queries.text("last_quality_runs")):
        run = QualityRun(*line)
        found[run.table] = Quality(
            found[run.table].last if is_before else run,
            found[run.table].age_seconds if is_before else float(age),
            run if is_before else None,
        )
    return found


def opinions(session: Session) -> list[Opinions]:
    """What feedback says, by table; nothing of a table without any."""
    if not schema.exists(session, "vectrue.feedback"):
        return []
    return [Opinions(*line) for line in session.rows(queries.text("opinions"))]


def useful_rows(session: Session, table: str) -> tuple[list[tuple[str, Sequence[Key]]], int]:
    """Texts that were searched for with the rows of a table that people found useful.

    Returns:
        those, and how many searches with a useful row are left out, since only an HMAC
        of their text is kept.
    """
    if not schema.exists(session, "vectrue.feedback"):
        return [], 0
    lines = session.rows(queries.text("useful_rows"), {"table": table})
    without_text = session.rows(queries.text("useful_without_text"), {"table": table})[0][0]
    return [(text, [tuple(key) for key in keys]) for text, keys in lines], int(without_text)
