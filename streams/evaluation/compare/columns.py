"""The two columns of a running migration, compared.

A holds the old model's vectors, B the new one's, whichever is served now. Each query is
embedded by both models, in a process each, and searched in Postgres: exactly, and by the
vector index if both columns have one.

Hazard: a step of the migration may rename the columns during the comparison; then the
comparison fails.
"""

from collections.abc import Mapping, Sequence
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
from schemas.rows.table import Key
from schemas.rows.target import Target
from schemas.settings.reading import Settings
from schemas.settings.sections import ModelSettings
from streams.evaluation import measures
from streams.evaluation.compare import compare
from streams.evaluation.compare.compare import Answers, Progress, QueryAnswer
from streams.evaluation.compare.conclusion import Options, conclude
from streams.evaluation.compare.models import Encoding, choose_table, encode
from streams.evaluation.compare.process import LoadedModel, ModelProcess
from streams.evaluation.judged import Judged, judged_keys

_SAMPLE = 256
"""Texts embedded to measure the speed; the columns have their vectors already."""


@dataclass(frozen=True, slots=True)
class _ComparedColumn:
    """One column.

    Attributes:
        target: the column and what it holds.
        model: that embeds its queries.
        offers: how much of it can be searched.
        indexes: bytes of its usable vector indexes, by name.
    """

    target: Target
    model: ModelSettings
    offers: Searchable
    indexes: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class _Sessions:
    """One session for each way of searching."""

    exact: Session
    index: Session


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
        table: which of the configured tables is migrated; may be left out if there is
            only one.
        judged: the queries; their ids are keys of that table.
        clock: times the searches.
        options: k and the seed.
        tell: called with the progress.

    Raises:
        VectrueError: no migration is under way, or it has no second column, or took a
            step meanwhile.
        ModelUnavailable: one of the two models is not on this machine.
    """
    with ExitStack() as running:
        sessions = _Sessions(
            exact=running.enter_context(_session(settings, EXACT)),
            index=running.enter_context(_session(settings, INDEX)),
        )
        made = _under_way(settings, sessions.exact, table)
        try:
            columns = _columns(settings, sessions.exact, made, table)
            keys = judged_keys(judged.queries)
            missing = ranking.missing(sessions.exact, columns[0].target, keys)
            compare.require_rows(judged, missing, str(made.table))
            return _measure(settings, columns, judged, sessions, running, clock, options, tell)
        finally:
            # Also after an error, which the step may have caused.
            _require_unmoved(sessions.exact, made)


def _session(settings: Settings, way: str) -> closing[Session]:
    prefix = settings.kafka.topic_prefix
    return closing(ranking.session(settings.postgres.dsn, way, prefix=prefix))


def _measure(
    settings: Settings,
    columns: tuple[_ComparedColumn, _ComparedColumn],
    judged: Judged,
    sessions: _Sessions,
    running: ExitStack,
    clock: Clock,
    options: Options,
    tell: Progress,
) -> Comparison:
    pair = [running.enter_context(ModelProcess(column.model, settings.log)) for column in columns]
    opened = _opened(pair, columns, tell)
    texts = list(ranking.texts(sessions.exact, columns[0].target, _SAMPLE).values())
    seconds = encode(pair, texts, settings.replay.micro_batch, tell)
    ways, notes = _ways(columns, pair, sessions)
    asked = (
        _ColumnSide(pair[0], columns[0], ways, clock),
        _ColumnSide(pair[1], columns[1], ways, clock),
    )
    answers = compare.ask_both(asked, judged.queries, clock, tell)
    sides: list[Side] = []
    for number, column in enumerate(columns):
        encoding = Encoding(len(texts), seconds[number])
        memory_peak = pair[number].memory_peak()
        sides.append(_side(column, opened[number], memory_peak, encoding, answers[number]))
    corpus = f"{columns[0].offers.texts:,} texts of {columns[0].target.table}"
    return conclude(judged, (sides[0], sides[1]), answers, options, corpus, notes)


def _opened(
    pair: Sequence[ModelProcess], columns: Sequence[_ComparedColumn], tell: Progress
) -> list[LoadedModel]:
    """Load the models of the columns, and refuse one that did not make their vectors."""
    opened: list[LoadedModel] = []
    for number, column in enumerate(columns):
        loaded = pair[number].open()
        # By its files: another revision has another id, and other vectors.
        if loaded.model_id != column.target.model:
            raise TargetMismatch(
                f"{column.target.name} holds vectors of {column.target.model}, but the model "
                f"on this machine is {loaded.model_id}",
                fix="bring that model's files here",
            )
        opened.append(loaded)
        tell("loading", number + 1, 2)
    return opened


def _under_way(settings: Settings, session: Session, table: str | None) -> ColumnMigration:
    chosen = choose_table(settings, table)
    for made in migration.read(session):
        if (made.table, made.column) != (chosen.table, chosen.column):
            continue
        # An offline migration has emptied the column itself.
        if made.beside is None or made.from_model is None:
            raise VectrueError(
                f"the migration of {made.name} keeps no old vectors to compare with",
                fix="compare two models",
            )
        return made
    raise VectrueError(
        f"no migration of {chosen.name}.{chosen.column} is under way, so it has one column",
        fix="vectrue migrate start --model NAME --dimensions N, or compare two models",
    )


def _columns(
    settings: Settings, session: Session, made: ColumnMigration, table: str | None
) -> tuple[_ComparedColumn, _ComparedColumn]:
    chosen = choose_table(settings, table)
    info = catalog.inspect(session, made.table)
    beside = made.beside or made.column
    # A swap exchanges the names.
    if made.state is MigrationState.STARTED:
        old, new = made.column, beside
    else:
        old, new = beside, made.column

    def one(
        column: str, model: str | None, dimensions: int, opening: Mapping[str, Any]
    ) -> _ComparedColumn:
        target = catalog.target_of(
            info,
            chosen.model_copy(update={"column": column}),
            model=model or "",
            dimensions=dimensions,
        )
        catalog.check_text(session, target)
        named = settings.model.opened_as(opening)
        by_name.require(named)
        usable: dict[str, int] = {}
        for index in twins.read(session, info.oid, [column]):
            if index.valid and index.definition.method in ("hnsw", "ivfflat"):
                usable[index.name] = index.bytes
        return _ComparedColumn(target, named, ranking.searchable(session, target), usable)

    return (
        one(old, made.from_model, made.from_dimensions, made.from_settings),
        one(new, made.to_model, made.to_dimensions, made.to_settings),
    )


def _ways(
    columns: tuple[_ComparedColumn, _ComparedColumn], pair: list[ModelProcess], sessions: _Sessions
) -> tuple[dict[str, Session], list[str]]:
    """Return the sessions by way of searching, and notes for the reader."""
    notes: list[str] = []
    without: list[str] = []
    for column, process in zip(columns, pair, strict=True):
        offers = column.offers
        if offers.vectors < offers.texts:
            notes.append(
                f"{column.target.name} holds vectors of {offers.vectors:,} of "
                f"{offers.texts:,} texts: what is missing counts against it until "
                "`vectrue replay run` has filled it"
            )
        # Only the planner knows whether it uses an index, so it is asked with a vector.
        vector = process.embed("text").vector
        if not ranking.uses(sessions.index, column.target, vector, measures.DEPTH, column.indexes):
            without.append(column.target.name)
    # Search by index is compared only if both columns have one that Postgres uses.
    if without:
        notes.append(
            f"not searched by index: {' and '.join(without)} has none that Postgres uses for "
            "this search"
        )
        return {EXACT: sessions.exact}, notes
    # HNSW finds at most hnsw.ef_search rows, whatever the LIMIT is.
    limit = ranking.ef_search(sessions.index)
    if limit is not None and limit < measures.DEPTH:
        notes.append(f"by index no more than hnsw.ef_search = {limit} rows are found for a query")
    return {EXACT: sessions.exact, INDEX: sessions.index}, notes


def _require_unmoved(session: Session, made: ColumnMigration) -> None:
    if made not in migration.read(session):
        raise VectrueError(
            f"the migration of {made.name} took a step during the comparison", fix="compare again"
        )


class _ColumnSide:
    """A column and its model's process, asked as one side."""

    def __init__(
        self,
        process: ModelProcess,
        column: _ComparedColumn,
        ways: Mapping[str, Session],
        clock: Clock,
    ) -> None:
        self._process = process
        self._target = column.target
        self._ways = ways
        self._clock = clock

    def ask(self, text: str, most: int) -> QueryAnswer:
        embedded = self._process.embed(text)
        seconds: dict[str, float] = {}
        found: dict[str, Sequence[tuple[Key, str]]] = {}
        for way, session in self._ways.items():
            begun = self._clock.monotonic()
            found[way] = ranking.nearest(session, self._target, embedded.vector, most)
            seconds[way] = self._clock.monotonic() - begun
        return QueryAnswer(embedded.seconds, seconds, found)


def _side(
    column: _ComparedColumn,
    opened: LoadedModel,
    memory_peak: int | None,
    encoding: Encoding,
    answers: Answers,
) -> Side:
    return Side(
        name=column.target.name,
        model=opened.model_id,
        dimensions=opened.dimensions,
        load_seconds=opened.load_seconds,
        memory_start=opened.memory_start,
        memory_peak=memory_peak,
        texts=encoding.texts,
        texts_per_second=encoding.texts_per_second,
        vectors=column.offers.vectors,
        vector_bytes=column.offers.bytes,
        index_bytes=sum(column.indexes.values()) if column.indexes else None,
        latency=answers.latency(),
    )
