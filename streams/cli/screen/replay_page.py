"""What `vectrue replay` says of runs: the verdict, the list of runs, their limits."""

from collections.abc import Callable, Sequence
from uuid import UUID

from schemas.reports.replay import Run, ScopeProgress, show_rate
from streams.cli.formatting import column_name, counted, number, short_duration
from streams.cli.screen.output import err, out
from streams.cli.screen.replay_progress import figures
from streams.cli.screen.tables import Grid
from streams.replay.control import RunStatus
from streams.replay.outcome import RunOutcome

_Count = Callable[[ScopeProgress], int]
# What becomes of a row.
_COUNTS: dict[str, _Count] = {
    "EMBEDDED": lambda scope: scope.embedded,
    "CURRENT": lambda scope: scope.current,
    "BLANK": lambda scope: scope.blank + scope.cleared,
    "CHANGED": lambda scope: scope.changed,
    "DEFERRED": lambda scope: scope.deferred,
    "QUARANTINED": lambda scope: scope.quarantined,
    "FAILED": lambda scope: scope.failed,
}
# Columns that are shown only where one of them counts: rows deleted before their turn,
# keys or models of before a change, rows not yet done.
_RARE: dict[str, _Count] = {
    "GONE": lambda scope: scope.gone,
    "OBSOLETE": lambda scope: scope.obsolete,
    "LEFT": lambda scope: scope.sent - scope.done,
}


def rate_limit(rate: float | None) -> str:
    """Say a run's own rate; None for none."""
    return "no limit of its rate" if rate is None else f"at most {show_rate(rate)}"


def lag_limit(seconds: float | None) -> str:
    """Say a run's own limit of the live lane's lag; None for that of the settings."""
    if seconds is None:
        return "waits while a live change is older than replay.max_live_lag_seconds"
    return f"waits while a live change is older than {seconds:g} s"


def announce(run: UUID, resumed: bool) -> None:
    """Print on stderr which run is followed."""
    err.print(f"run {run} {'goes on where it stopped' if resumed else 'started'}")


def show_outcome(outcome: RunOutcome) -> None:
    """Print on stdout what became of the rows, and the verdict."""
    if outcome.progress:
        out.print(_counts(outcome.progress))
    out.print(verdict(outcome), style="green" if outcome.is_true else "red")


def _counts(progress: Sequence[ScopeProgress]) -> Grid:
    counts = dict(_COUNTS)
    for name, count in _RARE.items():
        if any(count(scope) for scope in progress):
            counts[name] = count
    # SENT is the sum of the others.
    headings = ("SENT", *counts)
    table = Grid("TABLE", "COLUMN", *headings, zeros=headings)
    for scope in progress:
        cells = [scope.table, scope.column, number(scope.sent)]
        for count in counts.values():
            cells.append(number(count(scope)))
        table.add_row(*cells)
    return table


def verdict(outcome: RunOutcome) -> str:
    """Return the last line of a run: its end, the rows it handled, how the rows are now."""
    named = outcome.named
    if outcome.run is not None:
        handled = counted(outcome.handled, "row")
        name = f"run {outcome.run} {outcome.state}: {handled} handled; "
    elif outcome.standing:
        name = "nothing to do among the rows asked for: "
    else:
        name = "nothing to do: "
    if named is not None and outcome.names_nothing:
        return (
            f"{name}none of the {number(named.keys)} keys of {named.source} is of a row of "
            f"{named.table}"
        )
    rows = f"{outcome.good:,} of {outcome.rows:,} rows{_of_tables(outcome)}"
    return f"{name}{rows} are current or blank{_exceptions(outcome)}"


def _of_tables(outcome: RunOutcome) -> str:
    tables = outcome.tables
    if not outcome.standing or not tables:
        return ""
    return f" of {tables[0]}" if len(tables) == 1 else f" of {len(tables)} tables"


def _exceptions(outcome: RunOutcome) -> str:
    kinds = (
        ("in quarantine", outcome.quarantined),
        ("unreadable", outcome.unreadable),
        ("gone", outcome.gone),
    )
    text = ""
    for kind, count in kinds:
        if count:
            text += f", {count:,} {'is' if count == 1 else 'are'} {kind}"
    return text


def show_statuses(statuses: Sequence[RunStatus], *, wide: bool = False) -> None:
    """Print runs on stdout, a line per column, and below what limits or stops them."""
    headings = ("RUN", "STATE", "ASKED", "BY", "TABLE", "PROGRESS")
    table = Grid(*headings, last=("BY", "ASKED"), whole=("RUN",), wide=wide)
    for status in statuses:
        about = _about(status.run)
        for scope in status.progress:
            progress = figures(scope, status.speed_of(scope), why=False)
            table.add_row(*about, column_name(scope.table, scope.column), progress)
            # Only the first line of a run says which run it is.
            about = [""] * len(about)
    out.print(table)
    for status in statuses:
        for line in _limits(status):
            out.print(f"run {status.run.run}: {line}")


def _about(run: Run) -> list[str]:
    return [str(run.run), run.state, run.request.options, run.request.requested_by]


def _limits(status: RunStatus) -> list[str]:
    run, request = status.run, status.run.request
    lines = []
    if run.waiting:
        seconds = run.waiting_seconds or 0.0
        since = f" for {short_duration(seconds)}" if seconds >= 1 else ""
        lines.append(f"waiting{since}: {run.waiting}")
    if request.rate is not None and run.finished_at is None:
        lines.append(rate_limit(request.rate))
    if request.max_live_lag is not None and run.finished_at is None:
        lines.append(lag_limit(request.max_live_lag))
    if run.state == "paused":
        lines.append(f"paused: vectrue replay resume {run.run}")
    enumerated = all(scope.enumerated for scope in status.progress)
    if not enumerated and run.state == "running":
        lines.append(
            f"not all keys are enumerated; if its command is gone: vectrue replay resume {run.run}"
        )
    return lines
