"""Judged queries, asked as a user asks them, and the quality of the answers.

`vectrue serve` asks them on a schedule (streams/api/judging.py), `vectrue quality` now.
Both look at the first ten rows of a search of the whole table, through its index if the
planner uses one.

Hazard: rows come and go while a file stays the same. A judged row that is gone is left
out and counted; a query without any row left is not asked.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import numpy as np

from connectors.ports import Clock
from connectors.postgres.search import quality, ranking, search
from connectors.postgres.session import Session
from schemas import extras
from schemas.errors import ConfigurationError, PoisonEvent, VectrueError
from schemas.printable import json_text
from schemas.reports.comparison import DECIDES, JudgedQuery
from schemas.reports.quality import K, QualityRun, Way
from schemas.reports.search import SearchRequest, SearchResult
from schemas.rows.table import Key
from schemas.rows.target import Target
from schemas.settings.reading import Settings
from streams.common import targets as target_rules
from streams.evaluation import measures
from streams.evaluation.judged import judged_keys, read_queries
from streams.search.search import Search

Progress = Callable[[str, int, int], None]
"""Called with the table, how many of its queries were asked, and how many there are."""


@dataclass(frozen=True, slots=True)
class Exam:
    """What is asked of a table.

    Attributes:
        table: schema.table.
        queries: with the judged rows that exist.
        requests: the searches, in the same order.
        gone: how many judged rows do not exist.
        way: how the rows will be found.
    """

    table: str
    queries: tuple[JudgedQuery, ...]
    requests: tuple[SearchRequest, ...]
    gone: int
    way: Way


def check(settings: Settings) -> None:
    """Check that the files of judged queries can be asked.

    Raises:
        ConfigurationError: a file of `quality.queries` cannot be read or is malformed
            (streams/evaluation/judged.py).
        VectrueError: the measures are not installed.
    """
    if settings.quality.queries:
        extras.require("ir_measures", what="quality.queries")
    for file in settings.quality.queries.values():
        try:
            read_queries(Path(file))
        except VectrueError as error:
            raise ConfigurationError(f"quality.queries: {error.message}", fix=error.fix) from error


def prepare(
    settings: Settings, session: Session, table: str, file: Path, *, exact: bool = False
) -> Exam:
    """Read the file and check which of the judged rows exist.

    Args:
        settings: tables.
        session: any connection that may read them.
        table: one of the configured tables, as schema.table.
        file: of judged queries.
        exact: compare every row; use no index.

    Returns:
        the queries that have a judged row left, as searches.

    Raises:
        VectrueError: the file cannot be read, or judges no existing row.
    """
    judged = read_queries(file)
    target = _served(settings, session, table)[0]
    gone = set(_missing(session, target, judged_keys(judged.queries), file))
    asked = _with_rows(judged.queries, gone)
    requests: list[SearchRequest] = []
    for query in asked:
        requests.append(SearchRequest(query.text, (table,), K, exact=exact))
    if not asked:
        raise VectrueError(
            f"none of the rows that {file} judges is in {table}",
            fix="correct the file or the table",
        )
    by_index = not exact and search.uses_index(session, target, K)
    return Exam(
        table=table,
        queries=tuple(asked),
        requests=tuple(requests),
        gone=len(gone),
        way="index" if by_index else "exact",
    )


def _with_rows(queries: Sequence[JudgedQuery], gone: set[Key]) -> list[JudgedQuery]:
    """Return the queries of which a judged row is left, with those rows only."""
    asked: list[JudgedQuery] = []
    for query in queries:
        relevant: list[Key] = []
        for key in query.relevant:
            if key not in gone:
                relevant.append(key)
        if relevant:
            asked.append(replace(query, relevant=tuple(relevant)))
    return asked


def wanted_model(settings: Settings, session: Session, table: str) -> str:
    """Return what `QualityRun.model` is for searches of this table now."""
    models: set[str] = set()
    for target in _served(settings, session, table):
        models.add(target.model)
    return ", ".join(sorted(models))


def conclude(exam: Exam, answers: Sequence[SearchResult], at: datetime) -> QualityRun:
    """Measure the answers.

    Args:
        exam: what was asked.
        answers: one per query, in their order.
        at: when they were asked.
    """
    values = _measured(exam, answers)
    models: set[str] = set()
    seconds: list[float] = []
    for found in answers:
        models.update(found.models)
        seconds.append(found.timings.total)
    p50, p95 = np.percentile(seconds, [50, 95])
    return QualityRun(
        table=exam.table,
        model=", ".join(sorted(models)),
        at=at,
        queries=len(exam.queries),
        gone=exam.gone,
        way=exam.way,
        ndcg=float(values[DECIDES].mean()),
        recall=float(values[f"recall@{K}"].mean()),
        mrr=float(values["MRR"].mean()),
        p50_seconds=float(p50),
        p95_seconds=float(p95),
    )


def _measured(exam: Exam, answers: Sequence[SearchResult]) -> dict[str, measures.Values]:
    relevant: list[list[str]] = []
    ranked: list[list[str]] = []
    for query, found in zip(exam.queries, answers, strict=True):
        # As JSON, so that no two keys of several columns have the same name.
        relevant.append([json.dumps(key) for key in query.relevant])
        names: dict[str, None] = {}
        for hit in found.hits:
            # A table with two configured columns may give a row twice.
            names[json.dumps(hit.key)] = None
        ranked.append(list(names))
    return measures.per_query(relevant, ranked, K)


def run(
    settings: Settings, session: Session, exams: Sequence[Exam], clock: Clock, tell: Progress
) -> list[QualityRun]:
    """Ask now, in this process.

    Args:
        settings: tables and model.
        session: any connection that may read the tables; no one else may use it
            meanwhile.
        exams: what is asked.
        clock: times the searches.
        tell: called after each query.

    Raises:
        VectrueError: as `Search.find`.
    """
    asking = Search(settings, session, clock=clock)
    done = []
    for exam in exams:
        # Opens the model, so that its loading is not in the time of a query.
        asking.find(exam.requests[0])
        answers = []
        for number, request in enumerate(exam.requests, 1):
            answers.append(asking.find(request))
            tell(exam.table, number, len(exam.requests))
        done.append(conclude(exam, answers, clock.now()))
    return done


def judged_from_feedback(session: Session, table: str) -> tuple[list[str], int]:
    """Make judged queries of the rows of a table that people found useful.

    Their form is that of streams/evaluation/judged.py.

    Returns:
        lines of JSON, and how many searches are left out because the log has no text of
        them.

    Raises:
        VectrueError: there is no feedback, or none of a search whose text was logged.
    """
    rows, left_out = quality.useful_rows(session, table)
    if not rows and left_out:
        raise VectrueError(
            f"the {left_out:,} searches whose rows of {table} were useful were logged as "
            "HMACs, from which no text can be read",
            fix="serve.query_log = text keeps the texts from then on",
        )
    if not rows:
        raise VectrueError(
            f"no one has found a row of {table} useful yet",
            fix="send POST /feedback to vectrue serve",
        )
    return [_judged_line(text, keys) for text, keys in rows], left_out


def _judged_line(text: str, keys: Sequence[Key]) -> str:
    relevant = [list(key) if len(key) > 1 else key[0] for key in keys]
    return json_text({"query": text, "relevant": relevant, "kind": "feedback"})


def _served(settings: Settings, session: Session, table: str) -> list[Target]:
    return target_rules.served(settings.only([table]), session)


def _missing(session: Session, target: Target, keys: Sequence[Key], file: Path) -> list[Key]:
    wrong = VectrueError(
        f"{file} judges an id that is not a key of {target.table}",
        fix="correct the file or the table",
    )
    for key in keys:
        if len(key) != len(target.key):
            raise wrong
    try:
        return ranking.missing(session, target, keys)
    except PoisonEvent as error:
        # An id of the right length that is not of the key's type.
        raise wrong from error
