"""The two columns of a running migration: A holds the old model's vectors, B the new
one's, whichever is served now.

Each query is embedded by both models, in a process each, and searched in Postgres:
exactly, and by the vector index where both columns have one.

Hazard: a step of the migration renames the columns while they are being read; then
nothing is reported.
"""

from collections.abc import Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Any

from connectors.models import by_name
from connectors.ports import Clock
from connectors.postgres import catalog
from connectors.postgres.migrations import migration, twins
from connectors.postgres.search import ranking
from connectors.postgres.search.ranking import EXACT, INDEX, Searchable
from connectors.postgres.session import Session
from schemas.errors import TargetMismatch, VectrueError
from schemas.reports.comparison import Comparison, Side
from schemas.reports.migration import ColumnMigration, MigrationState
from schemas.rows.target import Target
from schemas.settings.reading import Settings
from schemas.settings.sections import ModelSettings
from streams.evaluation import measures
from streams.evaluation.compare import compare
from streams.evaluation.compare.compare import Answers, Options, Progress, QueryAnswer
from streams.evaluation.compare.models import choose_table, encode
from streams.evaluation.compare.process import LoadedModel, ModelProcess
from streams.evaluation.judged import Judged

_SAMPLE = 256
"""Texts embedded for the speed; the vectors themselves are there already."""


@dataclass(frozen=True, slots=True)
class _Column:
    """One column: what it holds, the model of its queries, and its usable vector
    indexes with their bytes.
    """

    target: Target
    model: ModelSettings
    offers: Searchable
    indexes: Mapping[str, int]


def run(
    settings: Settings,
    table: str | None,
    judged: Judged,
    clock: Clock,
    options: Options,
    tell: Progress,
) -> Comparison:
    """Compare the columns.

    Args:
        settings: all of them.
        table: which of the configured tables is migrated; may be left out where there
            is one.
        judged: the queries; their ids are keys of that table.
        clock: times the searches.
        options: k and the seed.
        tell: is told how far it is.

    Raises:
        VectrueError: no migration is under way, or it has no second column, or moved
            meanwhile.
        ModelUnavailable: a model of the two is not on this machine.
    """
    with ExitStack() as running:
        exact, by_index = (
            running.enter_context(
                closing(
                    ranking.session(settings.postgres.dsn, way, prefix=settings.kafka.topic_prefix)
                )
            )
            for way in (EXACT, INDEX)
        )
        made = _under_way(settings, exact, table)
        try:
            columns = _columns(settings, exact, made, table)
            compare.require_rows(
                judged,
                ranking.missing(exact, columns[0].target, compare.judged_keys(judged)),
                str(made.table),
            )
            return _measure(
                settings, columns, judged, (exact, by_index), running, clock, options, tell
            )
        finally:
            _require_unmoved(exact, made)


def _measure(
    settings: Settings,
    columns: tuple[_Column, _Column],
    judged: Judged,
    sessions: tuple[Session, Session],
    running: ExitStack,
    clock: Clock,
    options: Options,
    tell: Progress,
) -> Comparison:
    pair = [running.enter_context(ModelProcess(column.model, settings.log)) for column in columns]
    opened = []
    for number, (process, column) in enumerate(zip(pair, columns, strict=True), 1):
        opened.append(process.open())
        if opened[-1].model_id != column.target.model:
            raise TargetMismatch(
                f"{column.target.name} holds vectors of {column.target.model}, but what is on "
                "this machine is "
                f"{opened[-1].model_id}",
                fix="bring that model's files here",
            )
        tell("loading", number, 2)
    texts = list(ranking.texts(sessions[0], columns[0].target, _SAMPLE).values())
    seconds = encode(pair, texts, settings.replay.micro_batch, tell)
    ways, notes = _ways(columns, pair, sessions)
    sides = (_Side(pair[0], columns[0], ways, clock), _Side(pair[1], columns[1], ways, clock))
    answers = compare.ask_both(sides, judged.queries, clock, tell)
    rows = [
        _side(column, *measured, len(texts))
        for column, measured in zip(
            columns, zip(opened, pair, seconds, answers, strict=True), strict=True
        )
    ]
    corpus = f"{columns[0].offers.texts:,} texts of {columns[0].target.table}"
    return compare.conclude(judged, (rows[0], rows[1]), answers, options, corpus, notes)


def _under_way(settings: Settings, session: Session, table: str | None) -> ColumnMigration:
    chosen = choose_table(settings, table)
    found = [
        m for m in migration.read(session) if (m.table, m.column) == (chosen.table, chosen.column)
    ]
    if not found:
        raise VectrueError(
            f"no migration of {chosen.name}.{chosen.column} is under way, so it has one column",
            fix="vectrue migrate start --model NAME --dimensions N, or compare two models",
        )
    made = found[0]
    if made.beside is None or made.from_model is None:
        raise VectrueError(
            f"the migration of {made.name} keeps no old vectors to compare with",
            fix="compare two models",
        )
    return made


def _columns(
    settings: Settings, session: Session, made: ColumnMigration, table: str | None
) -> tuple[_Column, _Column]:
    chosen = choose_table(settings, table)
    info = catalog.inspect(session, made.table)
    beside = made.beside or made.column
    old, new = (
        (made.column, beside) if made.state is MigrationState.STARTED else (beside, made.column)
    )

    def one(column: str, model: str | None, dimensions: int, opening: Mapping[str, Any]) -> _Column:
        target = catalog.target_of(
            info,
            chosen.model_copy(update={"column": column}),
            model=model or "",
            dimensions=dimensions,
        )
        catalog.check_text(session, target)
        named = settings.model.opened_as(opening)
        by_name.require(named)
        found = twins.read(session, info.oid, [column])
        usable = {
            i.name: i.bytes for i in found if i.valid and i.definition.method in ("hnsw", "ivfflat")
        }
        return _Column(target, named, ranking.searchable(session, target), usable)

    return (
        one(old, made.from_model, made.from_dimensions, made.from_settings),
        one(new, made.to_model, made.to_dimensions, made.to_settings),
    )


def _ways(
    columns: tuple[_Column, _Column], pair: list[ModelProcess], sessions: tuple[Session, Session]
) -> tuple[dict[str, Session], list[str]]:
    """Exact search, and search by index where both columns have one that Postgres uses;
    and what is to be said.
    """
    notes = [
        f"{column.target.name} holds vectors of {column.offers.vectors:,} of "
        f"{column.offers.texts:,} texts: what is "
        "missing counts against it until `vectrue replay run` has filled it"
        for column in columns
        if column.offers.vectors < column.offers.texts
    ]
    without = []
    for column, process in zip(columns, pair, strict=True):
        vector = process.embed("text").vector
        if not ranking.uses(sessions[1], column.target, vector, measures.DEPTH, column.indexes):
            without.append(column.target.name)
    if without:
        notes.append(
            f"not searched by index: {' and '.join(without)} has none that Postgres uses for "
            "this search"
        )
        return {EXACT: sessions[0]}, notes
    limit = ranking.ef_search(sessions[1])
    if limit is not None and limit < measures.DEPTH:
        notes.append(f"by index no more than hnsw.ef_search = {limit} rows are found for a query")
    return {EXACT: sessions[0], INDEX: sessions[1]}, notes


def _require_unmoved(session: Session, made: ColumnMigration) -> None:
    if made not in migration.read(session):
        raise VectrueError(
            f"the migration of {made.name} took a step during the comparison", fix="compare again"
        )


class _Side:
    """A column with its model's process as a side."""

    def __init__(
        self, process: ModelProcess, column: _Column, ways: Mapping[str, Session], clock: Clock
    ) -> None:
        self._process = process
        self._target = column.target
        self._ways = ways
        self._clock = clock

    def ask(self, text: str, most: int) -> QueryAnswer:
        embedded = self._process.embed(text)
        seconds, found = {}, {}
        for way, session in self._ways.items():
            begun = self._clock.monotonic()
            found[way] = ranking.nearest(session, self._target, embedded.vector, most)
            seconds[way] = self._clock.monotonic() - begun
        return QueryAnswer(embedded.seconds, seconds, found)


def _side(
    column: _Column,
    opened: LoadedModel,
    process: ModelProcess,
    seconds: float,
    answers: Answers,
    texts: int,
) -> Side:
    return Side(
        column.target.name,
        opened.model_id,
        opened.dimensions,
        opened.load_seconds,
        opened.memory_start,
        process.memory_peak(),
        texts,
        texts / seconds,
        column.offers.vectors,
        column.offers.bytes,
        sum(column.indexes.values()) if column.indexes else None,
        answers.latency(),
    )
