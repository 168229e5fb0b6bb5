"""What the keeper decides: which rows stayed stale, when to send them, whose run it is.
Time passes by hand.
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID, uuid4

import pytest
from structlog.testing import capture_logs

from connectors.postgres.health.keeper import Fingerprint, UnderWay
from connectors.twins.memory import MemoryClock
from schemas.errors import TransientError
from schemas.rows.table import Key, TableName
from schemas.rows.target import KeyColumn, Target
from schemas.settings.sections import KeeperSettings
from streams.keeper import reconcile
from streams.keeper.keeper import Keeper
from streams.keeper.reconcile import Reconcile

TARGET = Target(
    TableName("public", "questions"),
    "embedding",
    "question",
    (KeyColumn("id", "bigint"),),
    "m@1",
    4,
)
STALE: Fingerprint = ("stale_text", b"new", b"old", "m@1")


@dataclass
class Bench:
    """A keeper of reconcile alone: the rows, the runs, what was sent."""

    clock: MemoryClock = field(default_factory=MemoryClock)
    rows: dict[Key, Fingerprint] = field(default_factory=dict)
    run: UnderWay | None = None
    last: float | None = None
    sent: list[Sequence[Target]] = field(default_factory=list)
    noted: list[int] = field(default_factory=list)
    looks: int = 0
    reader: int | None = 77

    def since_reconcile(self) -> float | None:
        return self.last

    def note_reconcile(self, found: int) -> None:
        self.noted.append(found)
        self.last = 0.0

    def sweep(self, target: Target) -> int:
        assert target == TARGET
        return 0

    def stale(self, target: Target, limit: int) -> Mapping[Key, Fingerprint]:
        assert target == TARGET
        self.looks += 1
        return dict(list(self.rows.items())[:limit])

    def under_way(self, table: TableName) -> UnderWay | None:
        assert table == TARGET.table
        return self.run

    def send(self, targets: Sequence[Target]) -> UUID | None:
        self.sent.append(targets)
        return uuid4()

    def make(self, **settings: float) -> Reconcile:
        made = KeeperSettings(**settings)
        parts = (self, lambda: [TARGET], self.send, lambda: self.reader, self.clock)
        return Reconcile(made, *parts, spread=lambda _, high: high)

    def passes(self, keeper: Reconcile, seconds: float) -> None:
        """Tick every 5 s for so long."""
        for _ in range(round(seconds / 5)):
            self.clock.advance(5)
            if self.last is not None:
                self.last += 5
            keeper.tick()


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_a_row_that_stays_stale_is_sent_after_a_minute(bench: Bench) -> None:
    """Two looks, a minute apart, see the same stale row: its table goes through replay,
    once.
    """
    bench.rows = {("1",): STALE}
    keeper = bench.make()
    bench.passes(keeper, 115)
    assert (bench.sent, bench.looks) == ([], 1)
    bench.passes(keeper, 5)
    assert bench.sent == [[TARGET]]
    assert bench.noted == [1]
    bench.passes(keeper, 1800)
    assert len(bench.sent) == 1


@pytest.mark.parametrize(
    "later",
    [
        {},
        {("2",): STALE},
        {("1",): ("stale_text", b"new", b"x", "m@1")},
    ],
)
def test_rows_on_their_way_are_left_to_the_live_lane(
    bench: Bench, later: dict[Key, Fingerprint]
) -> None:
    """A row that became true, was written, or is another one at the second look is not
    sent.
    """
    bench.rows = {("1",): STALE}
    keeper = bench.make()
    bench.passes(keeper, 60)
    bench.rows = later
    bench.passes(keeper, 600)
    assert (bench.sent, bench.noted) == ([], [0])


def test_a_text_that_is_another_one_at_each_look_does_not_hide(bench: Bench) -> None:
    """Nothing was written between the looks, so the row has stayed stale."""
    bench.rows = {("1",): STALE}
    keeper = bench.make()
    bench.passes(keeper, 60)
    bench.rows = {("1",): ("stale_text", b"newer", b"old", "m@1")}
    bench.passes(keeper, 600)
    assert (len(bench.sent), bench.noted) == (1, [1])


def test_true_tables_are_looked_at_once_an_hour(bench: Bench) -> None:
    """Where every row is true, one look is enough, and the next one comes after
    `reconcile_seconds` and its jitter.
    """
    keeper = bench.make()
    bench.passes(keeper, 60 + 3600 * 1.1 - 5)
    assert bench.looks == 1
    bench.passes(keeper, 10)
    assert bench.looks == 2


def test_workers_share_their_looks(bench: Bench) -> None:
    """What another worker looked at half an hour ago is not looked at again; NULL in
    the database asks for it now.
    """
    bench.last = 1800.0
    keeper = bench.make()
    bench.passes(keeper, 300)
    assert bench.looks == 0
    bench.last = None
    bench.passes(keeper, 5)
    assert bench.looks == 1


def test_a_start_of_capture_brings_the_next_look_forward(bench: Bench) -> None:
    """Another reader of the slot: one look, a minute after the last one at the
    earliest; a pause without one: none.
    """
    bench.last = 10.0
    keeper = bench.make()
    bench.reader = None
    bench.passes(keeper, 300)
    assert bench.looks == 0
    bench.reader = 78
    bench.passes(keeper, 5)
    assert bench.looks == 1
    bench.reader = 79
    bench.passes(keeper, 55)
    assert bench.looks == 1
    bench.passes(keeper, 300)
    assert bench.looks == 2


def test_what_a_start_of_capture_lost_is_sent(bench: Bench) -> None:
    """Also when capture starts between the two looks: the rows that it lost are found
    by two looks of their own.
    """
    keeper = bench.make()
    bench.passes(keeper, 60)
    assert bench.looks == 1
    bench.reader, bench.rows = 78, {("1",): STALE}
    bench.passes(keeper, 60)
    assert (bench.looks, bench.sent) == (2, [])
    bench.passes(keeper, 60)
    assert bench.sent == [[TARGET]]


def test_it_can_be_switched_off(bench: Bench) -> None:
    """`reconcile_seconds = 0` never looks."""
    bench.passes(bench.make(reconcile_seconds=0), 8000)
    assert bench.looks == 0


def test_a_whole_table_is_sent_without_knowing_its_rows(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More rows than are remembered, at both looks: sent, although not one of them was
    seen twice.
    """
    monkeypatch.setattr(reconcile, "LIMIT", 3)
    bench.rows = {(str(i),): STALE for i in range(10)}
    keeper = bench.make()
    bench.passes(keeper, 60)
    bench.rows = {(str(i),): STALE for i in range(100, 110)}
    bench.passes(keeper, 60)
    assert bench.sent == [[TARGET]]


def test_nothing_is_sent_beside_a_run(bench: Bench) -> None:
    """A run that somebody started is left to finish, moving or not."""
    bench.rows, bench.run = {("1",): STALE}, UnderWay(uuid4(), resumable=False, done=5)
    bench.passes(bench.make(), 300)
    assert (bench.sent, bench.noted) == ([], [1])


@pytest.mark.parametrize(("later", "level"), [(5, "warning"), (6, "info")])
def test_a_run_that_holds_a_table_and_does_not_move_is_a_warning(
    bench: Bench, later: int, level: str
) -> None:
    """Rows that stay stale beside a run that stands still wait for somebody: said
    aloud, with what mends it (I9).
    """
    bench.rows, bench.run = {("1",): STALE}, UnderWay(uuid4(), resumable=False, done=5)
    keeper = bench.make()
    bench.passes(keeper, 60)
    bench.run = UnderWay(bench.run.run, resumable=False, done=later)
    with capture_logs() as lines:
        bench.passes(keeper, 60)
    (line,) = [line for line in lines if line.get("run") == str(bench.run.run)]
    assert line["log_level"] == level
    assert ("vectrue replay resume" in line["event"]) == (level == "warning")


def test_an_own_run_that_stands_still_is_sent_again(bench: Bench) -> None:
    """A keeper that died, or a topic that was lost: the run did not move between the
    looks, so it is taken up again.
    """
    bench.rows, bench.run = {("1",): STALE}, UnderWay(uuid4(), resumable=True, done=5)
    keeper = bench.make()
    bench.passes(keeper, 300)
    assert bench.sent == [[TARGET]]


def test_an_own_run_that_moves_is_left(bench: Bench) -> None:
    """A run of the keeper's that is being worked off is not sent twice."""
    bench.rows, bench.run = {("1",): STALE}, UnderWay(uuid4(), resumable=True, done=5)
    keeper = bench.make()
    bench.passes(keeper, 60)
    bench.run = UnderWay(bench.run.run, resumable=True, done=6)
    bench.passes(keeper, 60)
    assert bench.sent == []


@dataclass
class Duties:
    """Stands in for both duties and for the desk."""

    mine: bool = True
    error: BaseException | None = None
    ticks: int = 0
    forgotten: int = 0
    given_up: int = 0
    begun: int = 0
    noted: list[float] = field(default_factory=list)

    def is_mine(self) -> bool:
        return self.mine

    def give_up(self) -> None:
        self.given_up += 1

    def begin(self) -> None:
        self.begun += 1

    def note_round(self, every: float) -> None:
        self.noted.append(every)

    def tick(self) -> None:
        self.ticks += 1
        if self.error is not None:
            raise self.error

    def forget(self) -> None:
        self.forgotten += 1


def keeper_of(duties: Duties, clock: MemoryClock) -> Keeper:
    return Keeper(duties, {"one": duties, "another": duties}, clock, 5.0)  # type: ignore[arg-type] # stands in for all


def test_only_the_keeper_does_its_duties() -> None:
    """A worker without the lock does nothing, and one that lost it begins anew when it
    has it again.
    """
    clock, duties = MemoryClock(), Duties(mine=False)
    keeper = keeper_of(duties, clock)
    keeper.tick()
    assert duties.ticks == 0
    duties.mine = True
    keeper.tick()
    assert duties.ticks == 2
    duties.mine = False
    keeper.tick()
    assert (duties.ticks, duties.forgotten) == (2, 4)


def test_a_service_that_is_away_is_asked_again_later() -> None:
    """A TransientError ends neither the thread nor the worker; the duty is tried again
    after half a minute.
    """
    clock, duties = MemoryClock(), Duties(error=TransientError("away"))
    keeper = keeper_of(duties, clock)
    for _ in range(6):
        keeper.tick()
        clock.advance(5)
    assert duties.ticks == 2
    clock.advance(5)
    keeper.tick()
    assert duties.ticks == 4


def test_a_round_is_noted_once_all_duties_were_done() -> None:
    """By the keeper alone, and not while a duty fails; that a worker has started is
    noted whoever is the keeper.
    """
    clock, duties = MemoryClock(), Duties(mine=False)
    keeper = keeper_of(duties, clock)
    keeper.tick()
    keeper.tick()
    assert (duties.begun, duties.noted) == (1, [])
    duties.mine = True
    keeper.tick()
    assert duties.noted == [5.0]
    duties.error = TransientError("away")
    keeper.tick()
    duties.error = None
    keeper.tick()
    assert duties.noted == [5.0]
    clock.advance(30)
    keeper.tick()
    assert duties.noted == [5.0, 5.0]


def test_a_bug_ends_the_worker() -> None:
    """Any other exception is told to whoever ends the process (I9)."""
    told: list[str] = []
    done = threading.Event()

    def leave(reason: str, bug: BaseException) -> None:
        assert isinstance(bug, ZeroDivisionError)
        told.append(reason)
        done.set()

    keeper_of(Duties(error=ZeroDivisionError("x")), MemoryClock()).start(leave)
    assert done.wait(10)
    assert "ZeroDivisionError" in told[0]
