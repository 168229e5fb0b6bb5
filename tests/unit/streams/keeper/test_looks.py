"""Looks that are asked for: when one ends, and which way stale rows are sent. Time
passes by hand.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID, uuid4

import pytest
from structlog.testing import capture_logs

from connectors.postgres.health.keeper import Fingerprint, UnderWay
from connectors.postgres.health.table_marks import Mark
from connectors.twins.memory import MemoryClock, MemoryOutbox
from schemas.errors import TableLocked, TransientError
from schemas.health.witness import Look
from schemas.rows.table import Key, TableName
from schemas.rows.target import KeyColumn, Target
from streams.keeper import stale_rows
from streams.keeper.looks import Looks
from streams.keeper.stale_rows import StaleRowSender
from streams.keeper.table_marks import REASON, Marks

TABLE, OTHER = TableName("public", "questions"), TableName("public", "answers")
TARGET, ANSWERS = (
    Target(t, "embedding", "text", (KeyColumn("id", "bigint"),), "m@1", 4) for t in (TABLE, OTHER)
)
STALE: Fingerprint = ("stale_text", b"new", b"old", "m@1")
RUN = UUID(int=7)


@dataclass
class Bench:
    """Two tables, of which looks are asked for; what was sent, and which way."""

    clock: MemoryClock = field(default_factory=MemoryClock)
    outbox: MemoryOutbox = field(default_factory=MemoryOutbox)
    asked: dict[TableName, datetime] = field(default_factory=dict)
    rows: dict[TableName, dict[Key, Fingerprint]] = field(default_factory=dict)
    runs: dict[TableName, UnderWay] = field(default_factory=dict)
    sent: list[TableName] = field(default_factory=list)
    locked: set[TableName] = field(default_factory=set)
    gone: set[TableName] = field(default_factory=set)
    replay_works: bool = True

    def __post_init__(self) -> None:
        self.sender = StaleRowSender(
            self.send, lambda _: self.outbox, lambda: self.replay_works, self.clock.now
        )
        self.looks = Looks(self, self, lambda: [TARGET, ANSWERS], self.sender, self.clock, 60.0)

    def ask(self, *tables: TableName) -> None:
        self.asked |= dict.fromkeys(tables, self.clock.now())

    def pending(self) -> Sequence[Look]:
        return [Look(table, "events expired", at, 0.0) for table, at in self.asked.items()]

    def done(self, table: TableName, asked_at: datetime) -> None:
        if self.asked[table] <= asked_at:
            del self.asked[table]

    def is_there(self, table: TableName) -> bool:
        return table not in self.gone

    def stale(self, target: Target, limit: int) -> Mapping[Key, Fingerprint]:
        if target.table in self.locked:
            raise TableLocked("locked")
        return dict(list(self.rows.get(target.table, {}).items())[:limit])

    def under_way(self, table: TableName) -> UnderWay | None:
        return self.runs.get(table)

    def send(self, targets: Sequence[Target]) -> UUID | None:
        self.sent.append(targets[0].table)
        return uuid4()

    def passes(self, seconds: float) -> None:
        for _ in range(round(seconds / 5)):
            self.looks.tick()
            self.clock.advance(5)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_one_look_is_enough(bench: Bench) -> None:
    """Stale rows are sent at once, once, and the look is over; a table that is true
    needs nothing.
    """
    bench.rows = {TABLE: {("1",): STALE}}
    bench.ask(TABLE, OTHER)
    bench.passes(30)
    assert (bench.sent, bench.asked, bench.outbox.deferred) == ([TABLE], {}, [])


def test_a_look_that_fails_stays_and_harms_no_other(bench: Bench) -> None:
    """A locked table is tried again until its look is done; the other table is looked
    at meanwhile.
    """
    bench.rows = {TABLE: {("1",): STALE}, OTHER: {("1",): STALE}}
    bench.locked = {TABLE}
    bench.ask(TABLE, OTHER)
    bench.passes(30)
    assert (bench.sent, set(bench.asked)) == ([OTHER], {TABLE})
    bench.locked.clear()
    bench.passes(30)
    assert (bench.sent, bench.asked) == ([OTHER, TABLE], {})


def test_a_run_that_holds_the_table_has_to_end_first(bench: Bench) -> None:
    """It may have passed the rows that are stale now. The look is done after it, and
    the log says so once.
    """
    bench.rows = {TABLE: {("1",): STALE}}
    bench.runs = {TABLE: UnderWay(RUN, resumable=False, done=5)}
    bench.ask(TABLE)
    with capture_logs() as log:
        bench.passes(600)
    assert (bench.sent, set(bench.asked)) == ([], {TABLE})
    assert [line.get("run") for line in log if "holds a table" in line["event"]] == [str(RUN)]
    bench.runs.clear()
    bench.passes(10)
    assert (bench.sent, bench.asked) == ([TABLE], {})


def test_a_keepers_run_that_stands_still_is_sent_again(bench: Bench) -> None:
    """Not while it moves, and once for each time it did not; the look is done after it."""
    bench.rows = {TABLE: {("1",): STALE}}
    bench.ask(TABLE)
    for done in range(20):
        bench.runs = {TABLE: UnderWay(RUN, resumable=True, done=done)}
        bench.passes(30)
    assert bench.sent == []
    bench.passes(60)
    assert (bench.sent, set(bench.asked)) == ([TABLE], {TABLE})


def test_without_a_replay_worker_the_live_lane_takes_a_few_rows(bench: Bench) -> None:
    """As deferred rows, due now; even beside a run that nobody works off. More are
    entered as a run.
    """
    bench.replay_works = False
    bench.rows = {TABLE: {(str(i),): STALE for i in range(stale_rows.FEW)}}
    bench.runs = {TABLE: UnderWay(RUN, resumable=False, done=0)}
    bench.ask(TABLE)
    bench.passes(5)
    assert (bench.sent, bench.asked, len(bench.outbox.deferred)) == ([], {}, stale_rows.FEW)
    assert all(row.deferral.txids == () for row in bench.outbox.deferred)
    assert not bench.outbox.chunks
    bench.runs.clear()
    bench.rows[TABLE]["one more",] = STALE
    bench.ask(TABLE)
    with capture_logs() as log:
        bench.passes(5)
    assert (bench.sent, bench.asked, len(bench.outbox.deferred)) == ([TABLE], {}, stale_rows.FEW)
    assert any("start a replay worker" in line["event"] for line in log)


def test_a_table_that_is_not_ours_stays_asked_for(bench: Bench) -> None:
    """Another settings file may name it: unknown is not true. One that was dropped is
    nobody's.
    """
    strange = TableName("public", "strange")
    bench.ask(strange)
    bench.passes(60)
    assert set(bench.asked) == {strange}
    bench.gone = {strange}
    bench.passes(5)
    assert bench.asked == {}


def test_a_table_that_is_stored_elsewhere_is_looked_at() -> None:
    """Not at the first sight, not while it is gone, not in an offline migration; and
    noted after it was asked for.
    """
    marks = {TABLE: Mark(TABLE, "a", None), OTHER: Mark(OTHER, "x", "x")}
    asked: list[tuple[TableName, str]] = []
    in_hand: set[TableName] = set()
    fails = [False]

    class Desk:
        def read(self, tables: Sequence[TableName]) -> Sequence[Mark]:
            return [marks[table] for table in tables]

        def note(self, mark: Mark) -> None:
            marks[mark.table] = replace(mark, noted=mark.now)

    def ask(table: TableName, reason: str) -> None:
        if fails[0]:
            raise TransientError("away")
        asked.append((table, reason))

    duty = Marks(Desk(), [TABLE, OTHER], lambda: in_hand, ask)

    def sees(now: str) -> int:
        marks[TABLE] = replace(marks[TABLE], now=now)
        duty.tick()
        duty.tick()
        return len(asked)

    assert [sees("a"), sees("b"), sees(""), sees("c")] == [0, 1, 1, 2]
    in_hand.add(TABLE)
    assert sees("d") == 2
    in_hand.clear()
    fails[0] = True
    with pytest.raises(TransientError):
        sees("e")
    fails[0] = False
    assert sees("e") == 3
    assert set(asked) == {(TABLE, REASON)}
