"""One search for the command line and HTTP: what it does when a migration comes in
between, in which order, and how hits are merged.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from connectors.postgres.search import search
from connectors.postgres.search.search import ModelMoved
from connectors.twins.memory import MemoryClock
from connectors.twins.model import TwinEmbedder
from schemas.errors import ConfigurationError
from schemas.reports.search import Hit, SearchRequest
from schemas.rows.document import Vector
from schemas.rows.table import TableName
from schemas.rows.target import KeyColumn, Target
from streams.search.core import Backend, ColumnsKeepChanging, SearchCore, Served

MODEL = TwinEmbedder(4)
TARGET = Target(
    TableName("public", "questions"),
    "embedding",
    "question",
    (KeyColumn("id", "bigint"),),
    MODEL.model_id,
    4,
)
REQUEST = SearchRequest("text", limit=3)


class Scripted(Backend):
    """A backend that remembers what it was asked, and whose database fails as told."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.calls: list[str] = []

    async def served(self, stale: Served | None) -> Served:
        self.calls.append("served" if stale is None else "served again")
        return Served((TARGET, TARGET), {MODEL.model_id: MODEL})

    def columns(self, served: Served, _: Sequence[str]) -> list[Target]:
        return list(served.targets)

    async def load(self, _: Sequence[Any]) -> None:
        self.calls.append("load")

    async def encode_query(self, models: Sequence[Any], _: str) -> list[Vector]:
        self.calls.append("encode")
        return [np.zeros(4, np.float32) for _ in models]

    async def encode_document(self, *_: Any) -> Vector:
        self.calls.append("encode")
        return np.zeros(4, np.float32)

    async def run(self, work: Callable[..., Any]) -> Any:
        self.calls.append("database")
        if self.failures:
            raise self.failures.pop(0)
        return work(None)


@pytest.fixture(autouse=True)
def _rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each column answers with the same two rows."""
    hits = [Hit("t", (key,), "", like, None, None, True) for key, like in (("1", 0.9), ("2", 0.1))]
    monkeypatch.setattr(search, "check_where", lambda *_, **__: None)
    monkeypatch.setattr(search, "nearest", lambda *_, **__: list(hits))


def find(backend: Backend) -> list[str]:
    _, found = asyncio.run(SearchCore(backend, MemoryClock()).find(REQUEST))
    return [hit.key[0] for hit in found.hits]


def test_hits_of_all_columns_are_merged() -> None:
    """Most similar first, and no more than are asked for; the query is embedded once."""
    backend = Scripted()
    assert find(backend) == ["1", "1", "2"]
    assert backend.calls == ["served", "load", "encode", "database"]


def test_a_step_of_a_migration_starts_the_search_again() -> None:
    """With columns that are read again and a query that is embedded again, five times
    at most; a wrong setting is tried twice.
    """
    moved, renamed = ModelMoved("moved"), ConfigurationError("no such column")
    once = ["served", "load", "encode", "database"]
    backend = Scripted(moved)
    assert find(backend) == ["1", "1", "2"]
    assert backend.calls == [*once, "served again", *once[1:]]
    assert find(Scripted(renamed)) == ["1", "1", "2"]
    for failures in ([renamed, renamed], [moved, renamed]):
        with pytest.raises(ConfigurationError, match="no such column"):
            find(Scripted(*failures))
    assert find(Scripted(*[moved] * 4)) == ["1", "1", "2"]
    with pytest.raises(ColumnsKeepChanging, match="again and again: try again"):
        find(Scripted(*[moved] * 5))


def test_a_condition_is_checked_before_a_model_is_used() -> None:
    """As many rows as the column has; both sides are embedded as documents."""
    backend = Scripted()
    core = SearchCore(backend, MemoryClock())
    hits, model = asyncio.run(core.similar(REQUEST, search.equals("question", "17")))
    assert ([hit.key for hit in hits], model) == ([("1",), ("2",)], MODEL)
    assert backend.calls == ["served", "database", "encode", "database"]
