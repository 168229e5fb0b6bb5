"""Two models on one corpus, compared.

Each model embeds the texts in a process of its own, and searches them exactly. The
corpus is a file, or a configured table, which is read once and not changed. Postgres
takes no part in a search here, so it is not in the latencies.

Hazard: all vectors are in memory, 4 bytes per dimension: a million texts of 1024
dimensions take 4.1 GB for each side.
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
from streams.evaluation.compare.compare import Answers, Progress, QueryAnswer
from streams.evaluation.compare.conclusion import Options, conclude
from streams.evaluation.compare.process import LoadedModel, ModelProcess
from streams.evaluation.judged import Judged, judged_keys

_FLOAT_BYTES = 4
WAY = ranking.EXACT


@dataclass(frozen=True, slots=True)
class Encoding:
    """How many texts one side embedded, and in how many seconds."""

    texts: int
    seconds: float

    @property
    def texts_per_second(self) -> float:
        """The speed."""
        return self.texts / self.seconds


@dataclass(frozen=True, slots=True)
class Corpus:
    """Texts by key, and in words where they come from."""

    texts: dict[Key, str]
    where: str


def from_table(settings: Settings, table: str | None) -> Corpus:
    """Read the texts of a configured table as they are now.

    Args:
        settings: all of them.
        table: its name; None if only one is configured.

    Raises:
        ConfigurationError: the table is not configured or does not exist, or several
            are configured and none is named.
        VectrueError: no row of it has a text.
    """
    chosen = choose_table(settings, table)
    reading = ranking.session(settings.postgres.dsn, prefix=settings.kafka.topic_prefix)
    try:
        info = catalog.inspect(reading, chosen.table)
        # Only key and text are read: the vector column may have any length, and `init`
        # may not have run yet.
        target = Target(
            table=chosen.table,
            column=chosen.column,
            text=chosen.text,
            key=info.primary_key,
            model="",
            dimensions=0,
        )
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
    """Return the named table, or the only configured one.

    Raises:
        ConfigurationError: it is not configured, or several are and none is named.
    """
    found = settings.only([table] if table else None).tables
    if not found:
        raise ConfigurationError(
            "no table is configured", fix="add [[tables]] with name and text to vectrue.toml"
        )
    tables = {one.table for one in found}
    if len(tables) > 1:
        names = [one.name for one in found]
        raise ConfigurationError(
            f"the queries are judged on one table, and {', '.join(names)} are configured",
            fix="name --table",
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
        tell: called with the progress.

    Raises:
        VectrueError: a judged id has no text in the corpus, or A and B are the same
            model.
    """
    missing: list[Key] = []
    for key in judged_keys(judged.queries):
        if key not in corpus.texts:
            missing.append(key)
    compare.require_rows(judged, missing, corpus.where)
    for model in models:
        by_name.require(model)
    with ExitStack() as running:
        pair = [running.enter_context(ModelProcess(model, settings.log)) for model in models]
        opened = _opened(pair, tell)
        texts = list(corpus.texts.values())
        seconds = encode(pair, texts, settings.replay.micro_batch, tell)
        rows = list(corpus.texts.items())
        asked = (_Model(pair[0], rows), _Model(pair[1], rows))
        answers = compare.ask_both(asked, judged.queries, clock, tell)
        sides: list[Side] = []
        for number, model in enumerate(models):
            encoding = Encoding(len(texts), seconds[number])
            # Asked while the process runs: the figure ends with it.
            memory_peak = pair[number].memory_peak()
            sides.append(_side(model, opened[number], memory_peak, encoding, answers[number]))
    searched = f"{len(texts):,} texts of {corpus.where}"
    return conclude(judged, (sides[0], sides[1]), answers, options, searched)


def _opened(pair: Sequence[ModelProcess], tell: Progress) -> list[LoadedModel]:
    opened: list[LoadedModel] = []
    for number, process in enumerate(pair, 1):
        opened.append(process.open())
        tell("loading", number, 2)
    # By id: two names may be of the same files.
    if opened[0].model_id == opened[1].model_id:
        raise VectrueError(f"A and B are both {opened[0].model_id}", fix="name two models")
    return opened


def encode(
    pair: Sequence[ModelProcess], texts: Sequence[str], batch: int, tell: Progress
) -> list[float]:
    """Embed the texts with both models, batch by batch alternately.

    Args:
        pair: A and B.
        texts: at least one.
        batch: texts in a batch.
        tell: called after each batch.

    Returns:
        seconds of A and of B.
    """
    seconds = [0.0, 0.0]
    for process in pair:
        process.hold(len(texts))
    for number, start in enumerate(range(0, len(texts), batch)):
        # Alternately, so that a busy machine slows both equally.
        order = (0, 1) if number % 2 == 0 else (1, 0)
        for one in order:
            seconds[one] += pair[one].encode(start, texts[start : start + batch])
        tell("embedding", min(start + batch, len(texts)), len(texts))
    return seconds


class _Model:
    """A model's process, asked as one side."""

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
    memory_peak: int | None,
    encoding: Encoding,
    answers: Answers,
) -> Side:
    return Side(
        # All lexical models have one name, and differ by their length.
        name=model.name if model.name != "lexical" else f"lexical:{model.dimensions}",
        model=opened.model_id,
        dimensions=opened.dimensions,
        load_seconds=opened.load_seconds,
        memory_start=opened.memory_start,
        memory_peak=memory_peak,
        texts=encoding.texts,
        texts_per_second=encoding.texts_per_second,
        vectors=encoding.texts,
        vector_bytes=encoding.texts * opened.dimensions * _FLOAT_BYTES,
        index_bytes=None,
        latency=answers.latency(),
    )
