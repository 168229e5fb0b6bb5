"""The progress of a replay that is followed: bars on a terminal, lines elsewhere."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Self

from connectors.clock import SystemClock
from schemas.errors import VectrueError
from schemas.reports.replay import ScopeProgress, show_rate
from streams.cli.formatting import column_name, completion, short_duration
from streams.cli.screen.bars import ProgressBars
from streams.cli.screen.output import err

_LINE_SECONDS = 10.0
_QUIET_SECONDS = 15.0
_WINDOW_SECONDS = 30.0
_WHOLE_RATE = 10.0  # rows per second; from here on no fraction is shown


class RunProgress:
    """Progress of a run on stderr: a bar per column on a terminal, else lines every 10 s.

    Args:
        workers: asks Kafka how many workers the replay lane has; None: it did not say.
    """

    def __init__(self, workers: Callable[[], int | None]) -> None:
        self._workers = workers
        self._clock = SystemClock()
        self._started = self._clock.monotonic()
        self._printed = 0.0
        self._moved = (0, self._started)
        self._warned = False
        self._seen: dict[str, deque[tuple[float, int]]] = {}
        self._bars = ProgressBars()

    def __enter__(self) -> Self:
        """Start drawing."""
        self._bars.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop drawing; the last state stays on the screen."""
        self._bars.__exit__(kind, error, trace)

    def show(self, scopes: Sequence[ScopeProgress]) -> None:
        """Draw the ledger's figures."""
        now = self._clock.monotonic()
        idle = any(scope.waiting or scope.state == "paused" for scope in scopes)
        self._warn_if_still(scopes, now, idle=idle)
        if idle:
            self._seen.clear()  # a pause is not slow work
        plain = not err.is_terminal and now - self._printed >= _LINE_SECONDS
        for i, scope in enumerate(scopes):
            name = column_name(scope.table, scope.column)
            # All columns of a run wait for the same reason: it is said once.
            line = figures(scope, self._rate(name, scope.done, now), why=i == 0)
            self._bars.show(name, scope.done, scope.total, line)
            if plain:
                err.print(f"{name}  {line}")
        if plain:
            self._printed = now

    def _warn_if_still(self, scopes: Sequence[ScopeProgress], now: float, *, idle: bool) -> None:
        done = sum(scope.done for scope in scopes)
        moved, since = self._moved
        if done != moved or idle:
            self._moved = (done, now)
        elif now - since > _QUIET_SECONDS and not self._warned:
            self._warned = True
            err.print(stillness(self._members()), style="yellow")

    def _members(self) -> int | None:
        try:
            return self._workers()
        except VectrueError:  # why Kafka does not answer would not help here
            return None

    def _rate(self, name: str, done: int, now: float) -> float | None:
        """Return rows per second over the last half minute that was watched."""
        seen = self._seen.setdefault(name, deque())
        # What was done before the first look does not count.
        seen.append((now, done))
        while now - seen[0][0] > _WINDOW_SECONDS:
            seen.popleft()
        since, before = seen[0]
        if now > since and done > before:
            return (done - before) / (now - since)
        return None


def stillness(workers: int | None) -> str:
    """Explain a run that does not move.

    Args:
        workers: members of the replay lane's group; None when Kafka did not say.
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
    """Return how far a column is, in one line.

    Args:
        scope: the column's figures in the ledger.
        rate: rows per second; None when unknown.
        why: whether to say why the run waits.

    Returns:
        As `431,204/1,000,000  43%  1,912 rows/s  ETA 4m57s  current 12,001`.
    """
    parts = [f"{scope.done:,}/{scope.total:,}", _share(scope)]
    parts += _pace(scope, rate)
    parts += _counts(scope)
    if not scope.enumerated:
        parts.append(f"enumerated {scope.sent:,}")
    if scope.state not in ("running", "done"):
        parts.append(scope.state)
    if scope.waiting and why:
        parts.append(f"waiting: {scope.waiting}")
    return "  ".join(parts)


def _pace(scope: ScopeProgress, rate: float | None) -> Iterator[str]:
    if rate and scope.done and scope.state == "running":
        yield show_rate(rate if rate < _WHOLE_RATE else round(rate))
        # A run that waits has no end in sight, whatever its rate was.
        if scope.done < scope.total and not scope.waiting:
            yield f"ETA {short_duration((scope.total - scope.done) / rate)}"


def _counts(scope: ScopeProgress) -> Iterator[str]:
    counts = (
        ("gone", scope.gone),
        ("current", scope.current),
        ("deferred", scope.deferred),
        ("quarantined", scope.quarantined),
        ("failed", scope.failed),
        ("obsolete", scope.obsolete),
    )
    for name, count in counts:
        if count:
            yield f"{name} {count:,}"


def _share(scope: ScopeProgress) -> str:
    if scope.total == 0 and scope.enumerated:
        return "100%"  # no rows: all of them are done
    return completion(scope.done, scope.total)
