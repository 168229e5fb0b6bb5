"""Replay runs over the tables of a migration: which one to wait for, which gives way.

Hazard: a run of the keeper that gives way leaves rows undone. The keeper finds them
again; a person's run would lose them, so a step is refused until it has ended.
"""

from collections.abc import Callable, Collection, Sequence

from connectors.postgres import queries
from connectors.postgres.ledger.runs import RunLedger
from connectors.postgres.session import Session
from schemas.errors import VectrueError
from schemas.reports.coverage import Coverage
from schemas.reports.migration import ColumnMigration
from schemas.reports.replay import Request
from streams.migration.next_step import Next


def over(session: Session, tables: Sequence[str]) -> Next | None:
    """Return what to do about a run over these tables that does not give way.

    Args:
        session: any connection that may read the schema vectrue.
        tables: their names.

    Returns:
        The command; None when no such run is under way.

    Raises:
        TransientError: Postgres does not answer.
    """
    asked = {"tables": list(tables)}
    for run, state, yields, _ in session.rows(queries.text("replay_of_tables"), asked):
        if not yields:
            return waiting_for(str(run), str(state))
    return None


def filling(session: Session, columns: Collection[Coverage]) -> str:
    """Return the command that fills the rows these columns lack.

    A run that is under way comes first.

    Args:
        session: any connection that may read the schema vectrue.
        columns: those that lack rows.

    Raises:
        TransientError: Postgres does not answer.
    """
    tables = {column.table for column in columns}
    run = over(session, sorted(tables))
    return (run or Next("vectrue replay run")).typed()


def waiting_for(run: str, state: str) -> Next:
    """Return what to do while a run is not finished."""
    if state == "paused":
        return Next(
            "vectrue replay resume",
            run,
            takes_tables=False,
            remark=f"or vectrue replay cancel {run}",
        )
    return Next(
        "vectrue replay status",
        run,
        takes_tables=False,
        remark="a replay run is under way: wait until it has ended, "
        f"or vectrue replay cancel {run}",
    )


def stop(session: Session, found: Sequence[ColumnMigration], tell: Callable[[str], None]) -> None:
    """Have the keeper's own runs over these columns give way.

    Args:
        session: of the tables' owner.
        found: the columns.
        tell: called with a sentence when a run has given way.

    Raises:
        VectrueError: a run that a person has started is not finished.
    """
    tables: list[str] = []
    columns: list[str] = []
    for made in found:
        tables.append(str(made.table))
        columns.append(made.name)
        if made.beside:
            columns.append(f"{made.table}.{made.beside}")
    lines = session.rows(queries.text("replay_of_tables"), {"tables": tables})
    for run, state, yields, table in lines:
        # A person's run would lose the rows that it has not come to.
        if not yields:
            way = waiting_for(str(run), str(state))
            raise VectrueError(
                f"replay run {run} of {table} is not finished ({state})", fix=way.typed()
            )
    if not lines:
        return
    # The keeper looks again at the rows that its run had not come to.
    RunLedger(session).give_way(columns, Request(only="missing"))
    tell("the keeper's own replay has given way; it looks at these rows again afterwards")
