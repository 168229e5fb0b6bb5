"""A search: the request, the rows found, how long it took, how much was searched.

Hazard: a row whose text has changed since it was embedded is found by its old text
until its new vector is there; `Hit.is_current` says so.
"""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from schemas.duration import show_duration
from schemas.errors import VectrueError

MOST_HITS = 1000
"""Also the most candidates that HNSW can keep (the upper bound of pgvector's
hnsw.ef_search).
"""
BY_COMMAND = "a live worker fills new ones, vectrue replay run the rest"
"""How rows come to their vector where no run is about them."""
# In seconds: a look that is older says so.
_FRESH_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """What is looked for, and where.

    Attributes:
        text: the query.
        tables: names of configured tables; all when empty.
        limit: most rows returned, over all tables.
        min_similarity: rows less similar than this are left out; -1 to 1.
        where: a condition in SQL that rows must meet besides; put in as is, so
            never a stranger's.
        exact: every row is compared, no approximate index is used.
        ef_search: candidates that an HNSW index keeps (`hnsw.ef_search`); the server's
            setting, but at least `limit`, when None.
    """

    text: str
    tables: tuple[str, ...] = ()
    limit: int = 5
    min_similarity: float | None = None
    where: str | None = None
    exact: bool = False
    ef_search: int | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be asked.

        Raises:
            VectrueError: the text is blank, or a number is out of its range.
        """
        if not self.text.strip():
            raise VectrueError("there is nothing to search for", fix="give a text")
        for name, value in (("limit", self.limit), ("ef_search", self.ef_search)):
            if value is not None and not 1 <= value <= MOST_HITS:
                raise VectrueError(f"{name} is {value}", fix=f"choose from 1 to {MOST_HITS}")
        if self.min_similarity is not None and not -1 <= self.min_similarity <= 1:
            raise VectrueError(
                f"min_similarity is {self.min_similarity:g}", fix="choose from -1 to 1"
            )
        if self.exact and self.ef_search is not None:
            raise VectrueError(
                "ef_search steers an index, and an exact search uses none",
                fix="leave one of them out",
            )


@dataclass(frozen=True, slots=True)
class Hit:
    """A row found.

    Attributes:
        table: schema.table.
        key: the primary key.
        text: the row's text as it is now.
        similarity: cosine of the vector and the query's, -1 to 1.
        embedded_at: when the vector was written.
        age_seconds: the same as seconds before the search.
        is_current: whether the vector was made from this very text.
    """

    table: str
    key: tuple[str, ...]
    text: str
    similarity: float
    embedded_at: datetime | None
    age_seconds: float | None
    is_current: bool

    def to_json(self) -> dict[str, Any]:
        """The hit by field name."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Timings:
    """Seconds of a search: the query's embedding, the database's part, and in all.

    `total` also holds opening the model, by far the most of a first search; not the
    look at the coverage.
    """

    embed: float
    database: float
    total: float

    def to_json(self) -> dict[str, float]:
        """By the names of the command line's contract."""
        named: dict[str, float] = {}
        for name, seconds in asdict(self).items():
            named[f"{name}_seconds"] = round(seconds, 6)
        return named


@dataclass(frozen=True, slots=True)
class Searched:
    """How much of a table a search can find by what its rows say now.

    Attributes:
        table: schema.table.
        rows: rows with a text.
        current: those whose vector was made from it by the wanted model.
        unsearched: those without a vector of that model.
        quarantined: those whose text the model cannot take.
        exact: whether all rows were counted; else the figures are scaled up from a
            sample.
        way: how rows that lack a vector come to one, as the end of a sentence.
    """

    table: str
    rows: int
    current: int
    unsearched: int
    quarantined: int
    exact: bool
    way: str = BY_COMMAND

    @property
    def is_whole(self) -> bool:
        """Whether nothing was seen to be left out."""
        # Both may be estimates of a sample, so one may exceed the other.
        return self.current >= self.rows

    @property
    def share(self) -> float | None:
        """Coverage, 0 to 1; None for a table without rows."""
        return self.current / self.rows if self.rows else None

    def warning(self, age_seconds: float = 0.0) -> str:
        """What a reader of the results should know, and what to do about it.

        The age is told where the look is not of now.
        """
        # Cut, not rounded: 99.99 % is not 100 %.
        percent = int(1000 * self.current / max(1, self.rows)) / 10
        about = "" if self.exact else "about "
        outdated = self.rows - self.current - self.unsearched - self.quarantined
        parts = [f"{about}{self.unsearched:,} are not searched"] if self.unsearched else []
        parts += [f"{about}{outdated:,} are found by an older text"] if outdated else []
        # Where all that is left is in quarantine, no replay helps.
        way = self.way if parts else "vectrue dlq list"
        parts += [f"{about}{self.quarantined:,} are in quarantine"] if self.quarantined else []
        share = f"{about}{percent:.1f} % of {self.rows:,} rows of {self.table}"
        seen = (
            f"were covered {show_duration(age_seconds)} ago"
            if age_seconds > _FRESH_SECONDS
            else "are covered"
        )
        return f"{share} {seen}: {', '.join(parts)}; {way}"

    def to_json(self) -> dict[str, Any]:
        """The figures by name, and the share."""
        figures = asdict(self)
        # A sentence for the warning, not a figure.
        del figures["way"]
        return {**figures, "coverage": self.share}


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The answer to a request.

    Attributes:
        hits: most similar first.
        models: ids of the models that embedded the query and these rows.
        timings: how long it took.
        searched: how much of each table can be found; a table of which that is not
            known is left out.
        warnings: what a reader of the hits should know, in sentences.
    """

    hits: tuple[Hit, ...]
    models: tuple[str, ...]
    timings: Timings
    searched: tuple[Searched, ...] = ()
    warnings: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The answer under the names of the command line's contract."""
        return {
            "model": ", ".join(self.models),
            "hits": [hit.to_json() for hit in self.hits],
            "timings": self.timings.to_json(),
            "coverage": [searched.to_json() for searched in self.searched],
            "warnings": list(self.warnings),
        }
