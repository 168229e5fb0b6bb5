"""What a worker does about what differs: at the second look, again every minute, and
once more when it is over.
"""

from collections.abc import Sequence
from typing import Any

import pytest
from structlog.testing import capture_logs

from connectors.postgres.health import rounds, watched
from connectors.postgres.ledger import looks
from connectors.postgres.setup import schema
from connectors.twins.memory import MemoryClock
from schemas.errors import ConfigurationError, TransientError
from schemas.health.shape import Effect, Shape, ShapeDifference, TableShape
from schemas.health.witness import Difference
from schemas.rows.table import TableName
from schemas.rows.target import KeyColumn, Target
from schemas.settings.reading import load
from streams.worker.watches.targets import TargetWatcher
from tests.unit.schemas.health.test_shape import FINE

NAME = TableName("public", "posts")
TARGET = Target(NAME, "embedding", "title", (KeyColumn("id", "integer", "N"),), "m", 64)
HIDDEN = ShapeDifference(Effect.STOP, NAME, Difference("rows are hidden", "BYPASSRLS"))
MISSED = ShapeDifference(Effect.MISSED, NAME, Difference("it is not published", "vectrue init"))


class Bench:
    """A watcher whose database is made by hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
        self.clock = MemoryClock()
        self.found: list[ShapeDifference] = []
        self.shape: Shape = FINE
        self.away = False
        self.asked: list[tuple[list[TableName], str]] = []
        monkeypatch.setattr(watched, "read", self._read)
        monkeypatch.setattr(watched, "found", lambda *_: list(self.found))
        monkeypatch.setattr(schema, "exists", lambda *_: True)
        monkeypatch.setattr(looks, "ask", self._ask)
        monkeypatch.setattr(rounds, "note", self._note)
        self.noted: list[float] = []
        self.deaf = False
        self.watcher = TargetWatcher(settings, "live", self.clock)
        self.watcher._targets = [TARGET]

    def _read(self, *_: object) -> Shape:
        if self.away:
            raise TransientError("Postgres does not answer")
        return self.shape

    def _ask(self, _session: object, prefix: str, tables: Sequence[TableName], reason: str) -> None:
        assert prefix == "vectrue"
        self.asked.append((list(tables), reason))

    def _note(self, _session: object, prefix: str, what: str, every: float) -> None:
        if self.deaf:
            raise TransientError("Postgres does not answer")
        assert (prefix, what, every) == ("vectrue", "watch", 15.0)
        self.noted.append(self.clock.monotonic())

    def look(self, seconds: float = 3.0) -> Sequence[Target] | None:
        self.clock.advance(seconds)
        return self.watcher.look()


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(monkeypatch, load(tables=[{"name": "public.posts", "text": "title"}]))


def said(bench: Bench, looks: int, seconds: float = 3.0) -> int:
    with capture_logs() as logs:
        for _ in range(looks):
            bench.look(seconds)
    return sum("differs from what is configured" in line["event"] for line in logs)


def test_a_difference_that_passes_between_two_looks_ends_nothing(bench: Bench) -> None:
    """A step of a migration, an `init` under way: seen once, and gone."""
    bench.found = [HIDDEN, MISSED]
    assert said(bench, 1) == 0
    bench.found = []
    assert said(bench, 1) == 0
    bench.found = [HIDDEN]
    bench.look()
    with pytest.raises(ConfigurationError, match="rows are hidden: BYPASSRLS"):
        bench.look()
    assert not bench.asked


def test_what_is_not_captured_is_said_every_minute_and_looked_at_as_often_as_rows_may_be_stale(
    bench: Bench,
) -> None:
    """At once, again and again while it lasts, and once more when it is over."""
    bench.found = [MISSED]
    assert said(bench, 2) == 1
    assert len(bench.asked) == 1
    assert said(bench, 18) == 0
    assert said(bench, 3) == 1
    assert len(bench.asked) == 2
    bench.found = []
    bench.look()
    assert [tables for tables, _ in bench.asked] == [[NAME]] * 3
    assert "changes were missed while it is not published" in bench.asked[-1][1]
    bench.look(300)
    assert len(bench.asked) == 3


def test_a_database_that_is_away_says_nothing_about_what_is_there(bench: Bench) -> None:
    """No difference is seen, and none is over."""
    bench.found = [MISSED]
    said(bench, 2)
    bench.away = True
    assert bench.look() is None
    with pytest.raises(TransientError):
        bench.watcher.renewed()
    assert len(bench.asked) == 1


def test_another_key_is_taken_and_a_missing_one_is_waited_for(bench: Bench) -> None:
    """Between DROP CONSTRAINT and ADD PRIMARY KEY the old key goes on."""
    (table,) = FINE.tables
    bench.shape = Shape(
        "worker", "app", (TableShape(NAME, 1, kind="r"),), FINE.publication, FINE.slot
    )
    assert bench.look() is None
    bench.shape = FINE
    (target,) = bench.look() or []
    assert target.key == table.key
    assert bench.look() is None
    assert bench.watcher.renewed() is None


def test_transactions_are_compared_with_the_one_that_changed_the_table(bench: Bench) -> None:
    """All of them have to be of before; nothing is known of an event without one."""
    changed = Shape(
        "worker",
        "app",
        (TableShape(NAME, 1, kind="r", key=TARGET.key, changed_by=100),),
        None,
        None,
    )
    assert not bench.watcher.is_older(TARGET, [99])
    bench.shape = changed
    bench.look()
    assert bench.watcher.is_older(TARGET, [99, 100])
    assert not bench.watcher.is_older(TARGET, [99, 101])
    assert not bench.watcher.is_older(TARGET, [])


def test_that_somebody_looked_is_noted_now_and_then(bench: Bench) -> None:
    """Four times a minute, and only where it could look; a note that cannot be made
    keeps nobody from looking.
    """
    bench.deaf = True
    bench.look()
    bench.deaf = False
    for _ in range(20):
        bench.look()
    assert len(bench.noted) == 4
    bench.away = True
    for _ in range(20):
        bench.look()
    assert len(bench.noted) == 4
