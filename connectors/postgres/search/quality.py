"""Keep and read the figures of judged queries, and read feedback.

Hazard: a database that `vectrue init` has not updated may lack these tables. Reading
then finds nothing, and is not an error.
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
"""Runs kept for a table: six weeks of one run an hour."""


def require(session: Session, table: str) -> None:
    """Refuse to start what will be kept in a table that this role cannot write.

    Args:
        session: of the role that will write.
        table: its name, without the schema vectrue.

    Raises:
        ConfigurationError: the table does not exist, or the role may not insert.
    """
    query = "SELECT coalesce(has_table_privilege(to_regclass(%s), 'INSERT'), false)"
    if not session.rows(query, (f"vectrue.{table}",))[0][0]:
        raise ConfigurationError(
            f"there is no table vectrue.{table} that this role may write",
            fix="run `vectrue init` as an owner of the tables",
        )


def keep(session: Session, run: QualityRun) -> None:
    """Keep the figures, and delete the oldest beyond `KEPT`; the time is the server's."""
    with session.transaction() as cursor:
        cursor.execute(queries.text("add_quality_run"), asdict(run))
        cursor.execute(queries.text("forget_quality_runs"), {"table": run.table, "keep": KEPT})


def last(session: Session) -> dict[str, Quality]:
    """The last figures by table, of tables whose judged queries were ever run."""
    if not schema.exists(session, "vectrue.quality_runs"):
        return {}
    found: dict[str, Quality] = {}
    for is_before, age, *line in session.rows(queries.text("last_quality_runs")):
        # The query has the fields of QualityRun, in their order.
        run = QualityRun(*line)
        # A table's last figures come before those of the model before.
        if is_before:
            last_one = found[run.table]
            found[run.table] = Quality(last_one.last, last_one.age_seconds, run)
        else:
            found[run.table] = Quality(run, float(age), None)
    return found


def opinions(session: Session) -> list[Opinions]:
    """Counts of feedback, of tables that have any."""
    if not schema.exists(session, "vectrue.feedback"):
        return []
    lines = session.rows(queries.text("opinions"))
    return [Opinions(table, useful, given) for table, useful, given in lines]


def useful_rows(session: Session, table: str) -> tuple[list[tuple[str, Sequence[Key]]], int]:
    """Texts that were searched for, with the rows of a table that people found useful.

    Returns:
        texts with keys, and how many searches with a useful row are left out because
        only an HMAC of their text was kept.
    """
    if not schema.exists(session, "vectrue.feedback"):
        return [], 0
    found: list[tuple[str, Sequence[Key]]] = []
    for text, lists in session.rows(queries.text("useful_rows"), {"table": table}):
        keys = [tuple(key) for key in lists]
        found.append((text, keys))
    without_text = session.rows(queries.text("useful_without_text"), {"table": table})[0][0]
    return found, int(without_text)
