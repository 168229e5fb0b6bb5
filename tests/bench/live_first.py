"""Live first: commit -> visible with and without a full replay beside it, alternately in
one run.

Windows without a replay (it is paused) and windows with it follow one another as A B B
A A B, so that a machine that grows slower with time favours neither. Rows are inserted
one by one at a steady rate. A row's time is from the clock just before its COMMIT to
its vector's `embedded_at`, both by the database's clock.

Hazard: a replay that ends within the windows measures nothing, so it must have rows
enough; too few is an error.
"""

import re
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console

from tests.bench import interview
from tests.support import figures
from tests.support.waiting import let_pass, until
from tests.support.workplace import Workplace

INSERT = (
    "WITH q AS (INSERT INTO questions (question) VALUES (%s) RETURNING id)"
    " INSERT INTO made SELECT id, clock_timestamp() FROM q"
)
TIMES = (
    "SELECT extract(epoch FROM embedded_at - at) * 1000 FROM made JOIN questions USING (id) "
    "WHERE id > %s ORDER BY id"
)
_STILL = 4
"""Looks in a row, 2 s apart, at which a paused replay has not moved: it has put down
what it had in hand.
"""
_ORDER = (False, True, True, False, False, True)
Say = Callable[[str], None]


def quantile(values: Sequence[float], share: float) -> float:
    """Value below which this share of them lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


@dataclass
class Report:
    """Figures of one run.

    Attributes:
        model: its id.
        per_second: rows inserted.
        seconds: length of a window.
        alone: milliseconds of each row inserted while the replay was paused.
        beside: the same while it ran.
        replayed: rows per second that the replay got through, in each of its windows.
        waited: seconds of each time that the replay gave way to the live lane.
    """

    model: str
    per_second: float
    seconds: float
    alone: list[float] = field(default_factory=list)
    beside: list[float] = field(default_factory=list)
    replayed: list[float] = field(default_factory=list)
    waited: list[float] = field(default_factory=list)

    def ratio(self, share: float) -> float:
        """Of a quantile with the replay to the one without."""
        return quantile(self.beside, share) / quantile(self.alone, share)

    def lines(self) -> list[tuple[str, object]]:
        """The table."""
        return [
            (
                "load",
                (
                    f"{self.per_second:g} single inserts a second, {len(_ORDER)} windows of "
                    f"{self.seconds:g} s"
                ),
            ),
            ("replay paused, p50 / p95", _pair(self.alone)),
            ("replay running, p50 / p95", _pair(self.beside)),
            ("ratio of p50", f"{self.ratio(0.5):.2f}"),
            ("ratio of p95 (expected at most 1.5)", f"{self.ratio(0.95):.2f}"),
            ("replay meanwhile", f"{statistics.mean(self.replayed):,.0f} rows/s"),
            ("replay gave way", f"{len(self.waited)} times, {sum(self.waited):.0f} s in all"),
        ]

    def to_json(self) -> dict[str, Any]:
        """All figures by name."""
        return {**vars(self), "p50_ratio": self.ratio(0.5), "p95_ratio": self.ratio(0.95)}

    def markdown(self, command: str) -> str:
        """The table for docs/measurements.md, and the command that repeats it."""
        return f"`{command}`\n\n{figures.markdown(('commit to vector', self.model), self.lines())}"

    def print(self) -> None:
        """Print the table."""
        figures.show(Console(width=160), f"live first, {self.model}", self.lines())


def prepare(place: Workplace) -> None:
    """The table in which the time of each commit stands."""
    place.execute("CREATE TABLE made (id bigint PRIMARY KEY, at timestamptz)")


def insert(
    place: Workplace, texts: interview.Texts, *, seconds: float, per_second: float
) -> list[float]:
    """Insert rows at a steady rate and wait for their vectors; milliseconds of each."""
    last = place.value("SELECT coalesce(max(id), 0) FROM questions")
    began = time.monotonic()
    for number in range(round(seconds * per_second)):
        due = began + number / per_second
        let_pass(due - time.monotonic())  # the pace of the load, one commit at a time
        place.execute(INSERT, (texts.next(),))
    open_rows = "SELECT count(*) FROM made JOIN questions USING (id) WHERE embedded_at IS NULL"
    until(lambda: place.value(open_rows) == 0, timeout=300, what="the inserted rows to be current")
    return [float(ms) for (ms,) in place.execute(TIMES, (last,))]


def run(place: Workplace, rows: int, say: Say, *, seconds: float, per_second: float) -> Report:
    """Fill, start a replay, and measure alternately.

    Args:
        place: a workplace with an empty `questions`; `init` was not run.
        rows: that the replay has to work off.
        say: takes a line for each window.
        seconds: length of a window.
        per_second: rows inserted.
    """
    texts = interview.Texts(interview.TABLES[0], seed=4)
    with place.session.transaction() as cursor:
        words = [(texts.next(),) for _ in range(1000)]
        cursor.execute("CREATE TEMPORARY TABLE words (number serial, text text)")
        cursor.executemany("INSERT INTO words (text) VALUES (%s)", words)
        cursor.execute(
            "INSERT INTO questions (question) SELECT text || ' ' || i FROM generate_series(1, "
            "%s) AS i"
            " JOIN words ON number = 1 + i %% 1000",
            (rows,),
        )
    prepare(place)
    place.vectrue("init")
    place.start_worker("live")
    place.start_worker("replay")
    place.vectrue("replay", "run", "--yes", "--detach", timeout=600)
    model = place.value("SELECT model FROM vectrue.targets")
    report = Report(model, per_second, seconds)
    insert(place, texts, seconds=5, per_second=per_second)
    running = True
    for busy in _ORDER:
        if place.value("SELECT state FROM vectrue.replays") == "done":
            raise AssertionError(
                f"the replay of {rows:,} rows ended within the windows: give it more with --rows"
            )
        if busy is not running:
            place.vectrue("replay", "resume" if busy else "pause")
            running = busy
        _settled(place, busy)
        before, began = _done(place), time.monotonic()
        ms = insert(place, texts, seconds=seconds, per_second=per_second)
        (report.beside if busy else report.alone).extend(ms)
        worked = (_done(place) - before) / (time.monotonic() - began)
        if busy:
            report.replayed.append(worked)
        say(
            f"replay {'running' if busy else 'paused'}, {worked:,.0f} rows/s: p50 / p95 {_pair(ms)}"
        )
    place.vectrue("replay", "cancel")
    report.waited = _waits(place)
    return report


def _settled(place: Workplace, busy: bool) -> None:
    """Wait until the replay works, or until it has put down what it had in hand."""
    seen = [_done(place)]

    def steady() -> bool:
        seen.append(_done(place))
        return seen[-1] > seen[0] if busy else len(seen) > _STILL and seen[-1] == seen[-_STILL]

    until(
        steady, timeout=300, pause=2.0, what="the replay to go on" if busy else "the replay to rest"
    )


def _waits(place: Workplace) -> list[float]:
    """Seconds of each time that the replay gave way to the live lane, by its worker's
    log.
    """
    return [
        float(seconds)
        for seconds in re.findall(r"replay resumed .*waited_seconds=([\d.]+)", place.log("replay"))
    ]


def _done(place: Workplace) -> int:
    return int(place.value("SELECT coalesce(sum(done_keys), 0) FROM vectrue.replay_chunks"))


def _pair(ms: Sequence[float]) -> str:
    return f"{quantile(ms, 0.5):.0f} / {quantile(ms, 0.95):.0f} ms"
