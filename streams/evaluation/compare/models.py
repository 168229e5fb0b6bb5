"""Two models on one corpus: each embeds the texts in a process of its own, and searches
them exactly.

The corpus is a configured table, read once and changed in nothing, or a file; Postgres'
part of a search is not in these latencies.

Hazard: all vectors are in memory, 4 bytes a dimension: a million texts of 1024
dimensions are 4.1 GB for one side.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from connectors.models import by_name
from connectors.ports import Clock
from connectors.postgres import catalog
from connectors.postgres.search import ranking
from schemas.errors import ConfigurationError, VectrueError
from schemas.reports.comparison import Comparison, Side
from schemas.rows.table import Key
from schemas.rows.target import Target
from schemas.settings.reading import Settings
from schemas.settings.sections import ModelSettings, TableSettings
from streams.evaluation.compare import compare
from streams.evaluation.compare.compare import Answers, Options, Progress, QueryAnswer
from streams.evaluation.compare.process import LoadedModel, ModelProcess
from streams.evaluation.judged import Judged

_FLOAT_BYTES = 4
WAY = ranking.EXACT


@dataclass(frozen=True, slots=True)
class Corpus:
    """Texts by key, and where they are from, in words."""

    texts: dict[Key, str]
    where: str


def from_table(settings: Settings, table: str | None) -> Corpus:
    """The texts of a configured table as they are now.

    Raises:
        ConfigurationError: the table is not configured, does not exist, or it is not
            said which one.
        VectrueError: no row of it has a text.
    """
    chosen = choose_table(settings, table)
    reading = ranking.session(settings.postgres.dsn, prefix=settings.kafka.topic_prefix)
    try:
        info = catalog.inspect(reading, chosen.table)
        # Only what is read counts: the vector column may have any length, or none of
        # our bookkeeping yet.
        target = Target(chosen.table, chosen.column, chosen.text, info.primary_key, "", 0)
        catalog.check_text(reading, target)
        texts = ranking.texts(reading, target)
    finally:
        reading.close()
    if not texts:
        raise VectrueError(
            f"no row of {chosen.name} has a text", fix="name another table, or --corpus FILE"
        )
    return Corpus(texts, chosen.name)


def choose_table(settings: Settings, table: str | None) -> TableSettings:
    """The configured table that is meant; it need not be said where there is one only.

    Raises:
        ConfigurationError: it is not configured, or not said which.
    """
    found = settings.only([table] if table else None).tables
    if not found:
        raise ConfigurationError(
            "no table is configured", fix="add [[tables]] with name and text to vectrue.toml"
        )
    if len({one.table for one in found}) > 1:
        names = ", ".join(one.name for one in found)
        raise ConfigurationError(
            f"the queries are judged on one table, and {names} are configured", fix="name --table"
        )
    return found[0]


def run(
    settings: Settings,
    models: tuple[ModelSettings, ModelSettings],
    judged: Judged,
    corpus: Corpus,
    clock: Clock,
    options: Options,
    tell: Progress,
) -> Comparison:
    """Compare two models.

    Args:
        settings: for the log, and the size of a batch (replay.micro_batch).
        models: A and B, as `connectors.models.by_name.named` makes them.
        judged: the queries.
        corpus: what they are judged on.
        clock: says when enough has been measured.
        options: k and the seed.
        tell: is told how far it is.

    Raises:
        VectrueError: a judged id has no text in the corpus, or A and B are the same
            model.
    """
    compare.require_rows(
        judged,
        [key for key in compare.judged_keys(judged) if key not in corpus.texts],
        corpus.where,
    )
    for model in models:
        by_name.require(model)
    with ExitStack() as running:
        pair = [running.enter_context(ModelProcess(model, settings.log)) for model in models]
        opened = []
        for number, process in enumerate(pair, 1):
            opened.append(process.open())
            tell("loading", number, 2)
        if opened[0].model_id == opened[1].model_id:
            raise VectrueError(f"A and B are both {opened[0].model_id}", fix="name two models")
        texts = list(corpus.texts.values())
        seconds = encode(pair, texts, settings.replay.micro_batch, tell)
        answering = tuple(_Model(process, list(corpus.texts.items())) for process in pair)
        answers = compare.ask_both((answering[0], answering[1]), judged.queries, clock, tell)
        sides = [
            _side(model, *measured, len(texts))
            for model, measured in zip(
                models, zip(opened, pair, seconds, answers, strict=True), strict=True
            )
        ]
    return compare.conclude(
        judged, (sides[0], sides[1]), answers, options, f"{len(texts):,} texts of {corpus.where}"
    )


def encode(
    pair: Sequence[ModelProcess], texts: Sequence[str], batch: int, tell: Progress
) -> list[float]:
    """Have both embed the texts, batch by batch in turns; returns the seconds of each."""
    seconds = [0.0, 0.0]
    for process in pair:
        process.hold(len(texts))
    for number, start in enumerate(range(0, len(texts), batch)):
        for one in (0, 1) if number % 2 == 0 else (1, 0):
            seconds[one] += pair[one].encode(start, texts[start : start + batch])
        tell("embedding", min(start + batch, len(texts)), len(texts))
    return seconds


class _Model:
    """A model's process as a side."""

    def __init__(self, process: ModelProcess, rows: Sequence[tuple[Key, str]]) -> None:
        self._process = process
        self._rows = rows

    def ask(self, text: str, most: int) -> QueryAnswer:
        ranked = self._process.rank(text, most)
        found = [self._rows[index] for index in ranked.nearest]
        return QueryAnswer(ranked.embed_seconds, {WAY: ranked.search_seconds}, {WAY: found})


def _side(
    model: ModelSettings,
    opened: LoadedModel,
    process: ModelProcess,
    seconds: float,
    answers: Answers,
    texts: int,
) -> Side:
    return Side(
        model.name if model.name != "lexical" else f"lexical:{model.dimensions}",
        opened.model_id,
        opened.dimensions,
        opened.load_seconds,
        opened.memory_start,
        process.memory_peak(),
        texts,
        texts / seconds,
        texts,
        texts * opened.dimensions * _FLOAT_BYTES,
        None,
        answers.latency(),
    )
