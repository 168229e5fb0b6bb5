"""Judged queries asked as a user asks, of what is served, and what came out.

`vectrue serve` asks them again and again (streams/api/judging.py), `vectrue quality`
now. Both look at the first ten rows of a search of the whole table, through its index
where the planner takes one.

Hazard: rows come and go while a file stays as it is. A judged row that is gone is left
out, and counted; a query without any row left is not asked.
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
from streams.evaluation.judged import read_queries
from streams.search.search import Search

Progress = Callable[[str, int, int], None]
"""Told which table is asked about, how many queries were, and how many there are."""


@dataclass(frozen=True, slots=True)
class Exam:
    """What is asked of a table.

    Attributes:
        table: schema.table.
        queries: with the judged rows that are there.
        requests: the searches, in the same order.
        gone: judged rows that are not there.
        way: how the rows will be found.
    """

    table: str
    queries: tuple[JudgedQuery, ...]
    requests: tuple[SearchRequest, ...]
    gone: int
    way: Way


def check(settings: Settings) -> None:
    """Refuse to begin with files of judged queries that cannot be asked.

    Raises:
        ConfigurationError: a file of `quality.queries` cannot be read or is not as
            streams/evaluation/judged.py says.
        VectrueError: the measures are not installed.
    """
    if settings.quality.queries:
        measures.require("ir_measures", what="quality.queries")
    for file in settings.quality.queries.values():
        try:
            read_queries(Path(file))
        except VectrueError as error:
            raise ConfigurationError(f"quality.queries: {error.message}", fix=error.fix) from error


def prepare(
    settings: Settings, session: Session, table: str, file: Path, *, exact: bool = False
) -> Exam:
    """Read the file and look which of the judged rows are there.

    Args:
        settings: tables.
        session: any connection that may read them.
        table: one of the configured tables, as schema.table.
        file: of judged queries.
        exact: whether no index shall be used.

    Raises:
        VectrueError: the file cannot be read, or judges no row that is there.
    """
    judged = read_queries(file)
    target = _served(settings, session, table)[0]
    keys = list(dict.fromkeys(key for query in judged.queries for key in query.relevant))
    gone = set(_missing(session, target, keys, file))
    there = [
        replace(query, relevant=tuple(key for key in query.relevant if key not in gone))
        for query in judged.queries
    ]
    asked = tuple(query for query in there if query.relevant)
    if not asked:
        raise VectrueError(
            f"none of the rows that {file} judges is in {table}",
            fix="correct the file or the table",
        )
    by_index = not exact and search.uses_index(session, target, K)
    requests = tuple(SearchRequest(query.text, (table,), K, exact=exact) for query in asked)
    return Exam(table, asked, requests, len(gone), "index" if by_index else "exact")


def wanted_model(settings: Settings, session: Session, table: str) -> str:
    """What `QualityRun.model` says of searches of this table now."""
    return _models({target.model for target in _served(settings, session, table)})


def conclude(exam: Exam, answers: Sequence[SearchResult], at: datetime) -> QualityRun:
    """Measure what was found.

    Args:
        exam: what was asked.
        answers: one per query.
        at: when that was done.
    """
    relevant = [[_name(key) for key in query.relevant] for query in exam.queries]
    # A table with two configured columns may give a row twice.
    ranked = [list(dict.fromkeys(_name(hit.key) for hit in found.hits)) for found in answers]
    values = measures.per_query(relevant, ranked, K)
    ndcg, recall, mrr = (float(values[name].mean()) for name in (DECIDES, f"recall@{K}", "MRR"))
    p50, p95 = np.percentile([found.timings.total for found in answers], [50, 95])
    model = _models({model for found in answers for model in found.models})
    return QualityRun(
        exam.table,
        model,
        at,
        len(exam.queries),
        exam.gone,
        exam.way,
        ndcg,
        recall,
        mrr,
        float(p50),
        float(p95),
    )


def run(
    settings: Settings, session: Session, exams: Sequence[Exam], clock: Clock, tell: Progress
) -> list[QualityRun]:
    """Ask now, in this process.

    Args:
        settings: tables and model.
        session: any connection that may read the tables; nobody else may use it
            meanwhile.
        exams: what is asked.
        clock: times the searches.
        tell: is told how far it is.

    Raises:
        VectrueError: as `Search.find`.
    """
    asking = Search(settings, session, clock=clock)
    done = []
    for exam in exams:
        asking.find(exam.requests[0])  # opens the model, which no user's query does
        answers = []
        for number, request in enumerate(exam.requests, 1):
            answers.append(asking.find(request))
            tell(exam.table, number, len(exam.requests))
        done.append(conclude(exam, answers, clock.now()))
    return done


def judged_from_feedback(session: Session, table: str) -> tuple[list[str], int]:
    """Judged queries in the form of streams/evaluation/judged.py, made of the rows of a
    table that people found useful.

    Returns:
        lines of JSON, and how many searches are left out, since the log holds no text
        of them.

    Raises:
        VectrueError: there is none.
    """
    rows, left_out = quality.useful_rows(session, table)
    if not rows and left_out:
        raise VectrueError(
            f"the {left_out:,} searches whose rows of {table} were useful were logged as HMACs, "
            "from which no text can "
            "be read",
            fix="serve.query_log = text keeps the texts from then on",
        )
    if not rows:
        raise VectrueError(
            f"nobody has found a row of {table} useful yet",
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
        f"{file} judges an id that is no key of {target.table}", fix="correct the file or the table"
    )
    if any(len(key) != len(target.key) for key in keys):
        raise wrong
    try:
        return ranking.missing(session, target, keys)
    except PoisonEvent as error:
        raise wrong from error


def _models(models: set[str]) -> str:
    return ", ".join(sorted(models))


def _name(key: Key) -> str:
    """A key as one word."""
    return json.dumps(key)
