"""How `vectrue replay` shows things: the plan, the bars of a run that is followed, the
verdict, the list of runs.
"""

from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime
from types import TracebackType
from typing import Self
from uuid import UUID

from rich.progress import BarColumn, Progress, TaskID

from connectors.clock import SystemClock
from schemas.duration import show_duration
from schemas.errors import VectrueError
from schemas.reports.replay import ScopeProgress, show_rate
from streams.cli.screen.output import err, label, number, out, seconds
from streams.cli.screen.tables import Grid
from streams.replay.control import RunStatus
from streams.replay.keys import Named
from streams.replay.outcome import RunOutcome
from streams.replay.plan import ReplayPlan, ScopePlan

_LINE_SECONDS = 10.0
_QUIET_SECONDS = 15.0
_WINDOW_SECONDS = 30.0
_WHOLE_RATE = 10.0
"""Rows per second; from here on no fraction of one is shown."""
_MISSED_SHOWN = 10
_COUNTS: tuple[tuple[str, Callable[[ScopeProgress], int]], ...] = (
    ("EMBEDDED", lambda s: s.embedded),
    ("CURRENT", lambda s: s.current),
    ("BLANK", lambda s: s.blank + s.cleared),
    ("CHANGED", lambda s: s.changed),
    ("DEFERRED", lambda s: s.deferred),
    ("QUARANTINED", lambda s: s.quarantined),
    ("FAILED", lambda s: s.failed),
)
"""What becomes of a row."""
_RARE: tuple[tuple[str, Callable[[ScopeProgress], int]], ...] = (
    ("GONE", lambda s: s.gone),
    ("OBSOLETE", lambda s: s.obsolete),
    ("LEFT", lambda s: s.sent - s.done),
)
"""Likewise, shown where there are any: rows deleted before their turn, keys or models
of before a change, the rest.
"""
_UNITS = ("B", "kB", "MB", "GB", "TB")


def short_name(table: str, column: str) -> str:
    """`questions` for public.questions.embedding; what is not the usual is named."""
    name = table.removeprefix("public.")
    return name if column == "embedding" else f"{name}.{column}"


def size(value: float | None) -> str:
    """Bytes for people, in steps of 1,000; `-` when unknown."""
    if value is None:
        return "-"
    step = 0
    while value >= 999.5 and step < len(_UNITS) - 1:
        value, step = value / 1000, step + 1
    return (
        f"{value:,.0f} {_UNITS[step]}"
        if step == 0 or value >= 99.5
        else f"{value:.1f} {_UNITS[step]}"
    )


def eta(value: float) -> str:
    """A duration without a space, for the bar: `4m57s`, `12s`."""
    return f"{value:.0f}s" if value < 59.5 else seconds(value)


def show_plan(plan: ReplayPlan) -> None:
    """The plan on stderr: it is a notice of `run`, and `plan -o json` is there for
    scripts.
    """
    heads = (
        "TABLE",
        "ROWS",
        "CURRENT",
        "BLANK",
        "TO-SEND",
        "TO-EMBED",
        "CHUNKS",
        "MEAN-TEXT",
        "LARGEST",
        "TIME",
        "WAL",
        "DISK",
    )
    table = Grid(*heads)
    for s in plan.scopes:
        about = "" if s.exact else "~"
        counts = (s.rows, s.current, s.blank, s.to_send, s.to_embed)
        table.add_row(
            short_name(s.table, s.column),
            *(about + number(count) for count in counts),
            number(s.chunks),
            size(s.mean_text_bytes),
            size(s.largest_text_bytes),
            seconds(s.seconds),
            size(s.wal_bytes),
            size(s.disk_bytes),
        )
    err.print(table)
    for line in (line for scope in plan.scopes for line in _remarks(scope, plan.request.rate)):
        err.print(line, soft_wrap=True)
    err.print(_effect(plan), soft_wrap=True)


def _remarks(scope: ScopePlan, limit: float | None) -> list[str]:
    name = short_name(scope.table, scope.column)
    lines = []
    if not scope.exact:
        lines.append(f"{name}: figures with ~ are scaled up from a sample; --exact counts")
    if scope.rows_per_second is not None and scope.rows_per_second == limit:
        lines.append(
            f"{name}: at {show_rate(limit)}, the limit; run {scope.measured_in_run} measured no "
            "less"
        )
    elif scope.rows_per_second is not None:
        lines.append(
            f"{name}: {scope.rows_per_second:,.0f} rows/s by what run {scope.measured_in_run} "
            "measured"
        )
    elif scope.to_embed:
        lines.append(
            f"{name}: no run has embedded rows of it with this model yet, so the time is not known"
        )
    if scope.vector_index and scope.to_embed:
        lines.append(
            f"{name}: it has an index over vectors; its share of WAL, disk and time is not in "
            "these figures"
        )
    if scope.quarantined:
        lines.append(
            f"{name}: {scope.quarantined:,} rows are in quarantine and stay there unless --force"
        )
    return lines


def _effect(plan: ReplayPlan) -> str:
    if plan.to_embed == 0:
        return "live changes: no effect, nothing is embedded"
    waits = (
        "live changes go first: the replay waits while one is older than "
        f"{plan.max_live_lag_seconds:g} s"
    )
    limit = f", at most {show_rate(plan.request.rate)}" if plan.request.rate else ""
    if plan.workers == 0:
        return f"{waits}{limit}; no replay worker runs now: vectrue worker --role replay"
    count = "an unknown number of" if plan.workers is None else f"{plan.workers:,}"
    return (
        f"{waits}{limit}; {count} replay worker(s), niced; old vectors stay readable until they "
        "are replaced"
    )


def show_since(since: datetime | None, now: datetime) -> None:
    """Which time was understood, and on which side of it the rows are."""
    if since is not None:
        ago, time = (
            show_duration((now - since).total_seconds()),
            since.isoformat().replace("+00:00", "Z"),
        )
        err.print(
            f"only rows whose vector was last written more than {ago} ago, before {time}",
            soft_wrap=True,
        )


def show_named(named: Named | None) -> None:
    """What the keys came to on stderr; the first few of no row with their lines, all of
    them are in `-o json`.
    """
    if named is None:
        return
    rows = (
        f"{number(named.keys)} keys of {named.source} name {number(named.rows)} rows of "
        f"{named.table}"
    )
    repeats = f", {number(named.repeats)} are repeats" if named.repeats else ""
    lost = named.of_no_row
    err.print(
        f"{rows}{repeats}" + (f"; {number(len(lost))} match no row:" if lost else ""),
        soft_wrap=True,
    )
    for line, key in lost[:_MISSED_SHOWN]:
        err.print(f"  line {line}: {', '.join(key)}", soft_wrap=True)
    if len(lost) > _MISSED_SHOWN:
        err.print(
            f"  and {number(len(lost) - _MISSED_SHOWN)} more: -o json lists all", soft_wrap=True
        )


def rate_limit(rate: float | None) -> str:
    """A run's own rate, None for none."""
    return "no limit of its rate" if rate is None else f"at most {show_rate(rate)}"


def lag_limit(seconds: float | None) -> str:
    """A run's own limit of the live lane's lag, None for that of the settings."""
    if seconds is None:
        return "waits while a live change is older than replay.max_live_lag_seconds"
    return f"waits while a live change is older than {seconds:g} s"


def announce(run: UUID, resumed: bool) -> None:
    """Say which run is followed."""
    err.print(f"run {run} {'goes on where it stopped' if resumed else 'started'}", soft_wrap=True)


class Bars:
    """Progress of a run on stderr: a bar per column on a terminal, a plain line every
    10 s elsewhere.
    """

    def __init__(self, workers: Callable[[], int | None]) -> None:
        """Draw nothing yet; `workers` asks Kafka how many the replay lane has, None: it
        does not tell.
        """
        self._workers = workers
        self._clock = SystemClock()
        self._started = self._clock.monotonic()
        self._printed = 0.0
        self._moved = (0, self._started)
        self._warned = False
        self._seen: dict[str, deque[tuple[float, int]]] = {}
        self._tasks: dict[str, TaskID] = {}
        self._progress = Progress(
            label(),
            BarColumn(bar_width=24),
            label("{task.fields[figures]}"),
            console=err,
            disable=not err.is_terminal,
        )

    def __enter__(self) -> Self:
        """Start drawing."""
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop drawing; the last state stays on the screen."""
        self._progress.stop()

    def show(self, scopes: Sequence[ScopeProgress]) -> None:
        """Draw the ledger's figures."""
        now = self._clock.monotonic()
        done = sum(scope.done for scope in scopes)
        idle = any(scope.waiting or scope.state == "paused" for scope in scopes)
        if done != self._moved[0] or idle:
            self._moved = (done, now)
        elif now - self._moved[1] > _QUIET_SECONDS and not self._warned:
            self._warned = True
            err.print(stillness(self._members()), style="yellow")
        plain = not err.is_terminal and now - self._printed >= _LINE_SECONDS
        if idle:
            self._seen.clear()  # a pause is not slow work
        for i, scope in enumerate(scopes):
            name = short_name(scope.table, scope.column)
            line = figures(scope, self._rate(name, scope.done, now), why=i == 0)
            if name not in self._tasks:
                self._tasks[name] = self._progress.add_task(name, total=scope.total, figures="")
            self._progress.update(
                self._tasks[name], completed=scope.done, total=scope.total, figures=line
            )
            if plain:
                err.print(f"{name}  {line}", soft_wrap=True)
        if plain:
            self._printed = now

    def _members(self) -> int | None:
        try:
            return self._workers()
        except VectrueError:  # to be told would be of no use to whoever watches
            return None

    def _rate(self, name: str, done: int, now: float) -> float | None:
        """Rows per second over the last half minute that was watched; what was done
        before does not count.
        """
        seen = self._seen.setdefault(name, deque())
        seen.append((now, done))
        while now - seen[0][0] > _WINDOW_SECONDS:
            seen.popleft()
        since, before = seen[0]
        return (done - before) / (now - since) if now > since and done > before else None


def stillness(workers: int | None) -> str:
    """What to think of a run that does not move, by the members of the replay lane;
    None: not known.
    """
    if workers is None:
        return "nothing moves, and Kafka does not say whether a replay worker runs: vectrue doctor"
    if workers == 0:
        return (
            "nothing moves: no replay worker has joined its group in Kafka; one that was just "
            "started loads its model "
            "first, and where none was: vectrue worker --role replay"
        )
    count = "a replay worker is" if workers == 1 else f"{workers:,} replay workers are"
    return (
        f"nothing moves yet, though {count} at work: a batch may take long, its log says what "
        "it does"
    )


def figures(scope: ScopeProgress, rate: float | None, *, why: bool = True) -> str:
    """How far a column is, and `why` its run waits, which all of its columns do at
    once.

    `431,204/1,000,000  43%  1,912 rows/s  ETA 4m57s  current 12,001  quarantined 3  waiting: live lag 41s > 30s`.
    """
    share = int(100 * scope.done / scope.total) if scope.total else 100 * scope.enumerated
    parts = [f"{scope.done:,}/{scope.total:,}", f"{share}%"]
    if rate and scope.done and scope.state == "running":
        parts.append(show_rate(rate if rate < _WHOLE_RATE else round(rate)))
        if scope.done < scope.total and not scope.waiting:
            parts.append(f"ETA {eta((scope.total - scope.done) / rate)}")
    counts = (
        ("gone", scope.gone),
        ("current", scope.current),
        ("deferred", scope.deferred),
        ("quarantined", scope.quarantined),
        ("failed", scope.failed),
        ("obsolete", scope.obsolete),
    )
    parts += [f"{label} {value:,}" for label, value in counts if value]
    if not scope.enumerated:
        parts.append(f"enumerated {scope.sent:,}")
    if scope.state not in ("running", "done"):
        parts.append(scope.state)
    if scope.waiting and why:
        parts.append(f"waiting: {scope.waiting}")
    return "  ".join(parts)


def show_outcome(outcome: RunOutcome) -> None:
    """The verdict on stdout."""
    if outcome.progress:
        out.print(_counts(outcome.progress))
    style = "green" if outcome.is_true else "red"
    out.print(verdict(outcome), style=style, soft_wrap=True)


def _counts(progress: Sequence[ScopeProgress]) -> Grid:
    """What became of the rows of each column: SENT is the sum of the others."""
    heads, rare = (
        (name for name, _ in _COUNTS),
        (name for name, count in _RARE if any(map(count, progress))),
    )
    shown = ("SENT", *heads, *rare)
    table = Grid("TABLE", "COLUMN", *shown, zeros=shown)
    counts = dict((*_COUNTS, *_RARE))
    for s in progress:
        table.add_row(
            s.table, s.column, number(s.sent), *(number(counts[name](s)) for name in shown[1:])
        )
    return table


def verdict(outcome: RunOutcome) -> str:
    """The last line of a run: what it came to, how many rows it handled, and how the
    rows stand.
    """
    named = outcome.named
    if outcome.run is not None:
        name = (
            f"run {outcome.run} {outcome.state}: {outcome.handled:,} "
            f"row{'' if outcome.handled == 1 else 's'} handled; "
        )
    else:
        name = "nothing to do among the rows asked for: " if outcome.standing else "nothing to do: "
    if named is not None and outcome.names_nothing:
        return (
            f"{name}none of the {number(named.keys)} keys of {named.source} is of a row of "
            f"{named.table}"
        )
    tables = outcome.tables if outcome.standing else ()
    of = f" of {tables[0] if len(tables) == 1 else f'{len(tables)} tables'}" if tables else ""
    apart = (
        ("in quarantine", outcome.quarantined),
        ("unreadable", outcome.unreadable),
        ("gone", outcome.gone),
    )
    told = "".join(
        f", {count:,} {'is' if count == 1 else 'are'} {what}" for what, count in apart if count
    )
    return f"{name}{outcome.good:,} of {outcome.rows:,} rows{of} are current or blank{told}"


def show_statuses(statuses: Sequence[RunStatus], *, wide: bool = False) -> None:
    """Runs on stdout, a line per column; what is narrowed, limited or waiting in words
    below.
    """
    heads = ("RUN", "STATE", "ASKED", "BY", "TABLE", "PROGRESS")
    table = Grid(*heads, last=("BY", "ASKED"), whole=("RUN",), wide=wide)
    for status in statuses:
        run = status.run
        for i, scope in enumerate(status.progress):
            about = (
                (str(run.run), run.state, run.request.options, run.request.requested_by)
                if i == 0
                else ("",) * 4
            )
            table.add_row(
                *about,
                short_name(scope.table, scope.column),
                figures(scope, status.speed_of(scope), why=False),
            )
    out.print(table)
    for status in statuses:
        for line in _limits(status):
            out.print(f"run {status.run.run}: {line}", soft_wrap=True)


def _limits(status: RunStatus) -> list[str]:
    run, lines = status.run, []
    if run.waiting:
        seconds = run.waiting_seconds or 0.0
        lines.append(f"waiting{f' for {eta(seconds)}' if seconds >= 1 else ''}: {run.waiting}")
    if run.request.rate is not None and run.finished_at is None:
        lines.append(rate_limit(run.request.rate))
    if run.request.max_live_lag is not None and run.finished_at is None:
        lines.append(lag_limit(run.request.max_live_lag))
    if run.state == "paused":
        lines.append(f"paused: vectrue replay resume {run.run}")
    if any(not scope.enumerated for scope in status.progress) and run.state == "running":
        lines.append(
            f"not all keys are enumerated; if its command is gone: vectrue replay resume {run.run}"
        )
    return lines
