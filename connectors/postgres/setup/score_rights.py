"""What `[score]` reads beside texts, so that the workers' role can be let read it.

That is the column of the question, and what its condition names.

Hazard: the condition is SQL of the settings file; nothing is run before it is known to be
one expression.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import psycopg2
from psycopg2 import sql

from connectors.postgres import expressions
from connectors.postgres.checks import text_check
from connectors.postgres.checks.neighbour import Examined
from connectors.postgres.session import Session
from schemas.errors import ConfigurationError, VectrueError
from schemas.rows.table import TableName
from schemas.rows.target import Target
from schemas.settings.reading import Settings


@dataclass(frozen=True, slots=True)
class WorkerExpression:
    """An expression that a command evaluates with the workers' rights.

    Attributes:
        what: what it is called in a sentence.
        target: a column of its table, with the expression in the place of the text.
        columns: what it reads, by relation; an empty tuple: whole rows.
    """

    what: str
    target: Target
    columns: dict[int, tuple[str, ...]]


def asked(
    session: Session, settings: Settings, tables: Sequence[Examined]
) -> list[WorkerExpression]:
    """The expressions of `[score]`, where its table is among the examined ones.

    Args:
        session: of the role that grants; nothing is run in it.
        settings: all of them.
        tables: the configured tables.

    Raises:
        ConfigurationError: `score.where` is not a condition on the table.
        TransientError: Postgres does not answer.
    """
    wanted = settings.score
    named = TableName.parse(wanted.table)
    found: Examined | None = None
    for examined in tables:
        if found is None and examined.target.table == named:
            found = examined
    if found is None:
        return []
    target, columns = found.target, found.info.columns
    made: list[WorkerExpression] = []
    # Where it does not exist, the command says so.
    if wanted.question in columns:
        column = sql.Identifier(wanted.question).as_string(session.connection())
        made.append(_asked(session, "score.question", target, column))
    if wanted.where is not None:
        made.append(_condition(session, target, wanted.where))
    return made


def _condition(session: Session, target: Target, where: str) -> WorkerExpression:
    why = expressions.refusal(session, where)
    if why is not None:
        raise _no_condition(target, why)
    # On a line of its own THEN stands outside of a comment at the end of the condition.
    try:
        return _asked(session, "score.where", target, f"CASE WHEN {where}\n THEN '' END")
    except VectrueError as error:
        said = error.__cause__
        if not isinstance(said, psycopg2.Error) or not expressions.is_to_blame(said, error):
            raise
        raise _no_condition(target, " ".join(str(said).split())) from error


def _asked(session: Session, what: str, target: Target, expression: str) -> WorkerExpression:
    reads = replace(target, text=expression)
    return WorkerExpression(what, reads, text_check.columns(session, reads))


def _no_condition(target: Target, why: str) -> ConfigurationError:
    return ConfigurationError(
        f"score.where is not a condition on {target.table} ({why})",
        fix="correct [score] where: what would follow WHERE in a SELECT",
    )
