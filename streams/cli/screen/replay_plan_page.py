"""What `vectrue replay` says before it starts: the plan, the time limit, the keys.

All of it goes to stderr: it is a notice of `run`, and scripts read `plan -o json`.
"""

from datetime import datetime

from schemas.duration import show_duration
from schemas.reports.replay import show_rate
from streams.cli.formatting import column_name, duration, key, number, size, timestamp
from streams.cli.screen.output import err
from streams.cli.screen.tables import Grid
from streams.replay.keys import Named
from streams.replay.plan import ReplayPlan, ScopePlan

_HEADINGS = (
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
_MISSED_SHOWN = 10


def show_plan(plan: ReplayPlan) -> None:
    """Print the figures of each column, remarks on them, and what it does to live changes."""
    table = Grid(*_HEADINGS)
    for scope in plan.scopes:
        about = "" if scope.exact else "~"
        table.add_row(
            column_name(scope.table, scope.column),
            about + number(scope.rows),
            about + number(scope.current),
            about + number(scope.blank),
            about + number(scope.to_send),
            about + number(scope.to_embed),
            number(scope.chunks),
            size(scope.mean_text_bytes),
            size(scope.largest_text_bytes),
            duration(scope.seconds),
            size(scope.wal_bytes),
            size(scope.disk_bytes),
        )
    err.print(table)
    for scope in plan.scopes:
        for remark in _remarks(scope, plan.request.rate):
            err.print(f"{column_name(scope.table, scope.column)}: {remark}")
    err.print(_effect(plan))


def _remarks(scope: ScopePlan, limit: float | None) -> list[str]:
    remarks = []
    if not scope.exact:
        remarks.append("figures with ~ are scaled up from a sample; --exact counts")
    rate, run = scope.rows_per_second, scope.measured_in_run
    if rate is not None and rate == limit:
        remarks.append(f"at {show_rate(limit)}, the limit; run {run} measured no less")
    elif rate is not None:
        remarks.append(f"{rate:,.0f} rows/s, as measured in run {run}")
    elif scope.to_embed:
        remarks.append(
            "no run has embedded rows of it with this model yet, so the time is not known"
        )
    if scope.vector_index and scope.to_embed:
        remarks.append(
            "it has an index over vectors; its share of WAL, disk and time is not in these figures"
        )
    if scope.quarantined:
        remarks.append(
            f"{scope.quarantined:,} rows are in quarantine and stay there unless --force"
        )
    return remarks


def _effect(plan: ReplayPlan) -> str:
    if plan.to_embed == 0:
        return "live changes: no effect, nothing is embedded"
    effect = (
        "live changes go first: the replay waits while one is older than "
        f"{plan.max_live_lag_seconds:g} s"
    )
    if plan.request.rate:
        effect += f", at most {show_rate(plan.request.rate)}"
    if plan.workers == 0:
        return f"{effect}; no replay worker runs now: vectrue worker --role replay"
    count = "an unknown number of" if plan.workers is None else f"{plan.workers:,}"
    return (
        f"{effect}; {count} replay worker(s), niced; old vectors stay readable until "
        "they are replaced"
    )


def show_since(since: datetime | None, now: datetime) -> None:
    """Print how --since was understood, and which rows it selects."""
    if since is not None:
        ago = show_duration((now - since).total_seconds())
        err.print(
            f"only rows whose vector was last written more than {ago} ago, before "
            f"{timestamp(since)}"
        )


def show_named(named: Named | None) -> None:
    """Print how many rows the keys name, and the first keys that match no row."""
    if named is None:
        return
    lost = named.of_no_row
    line = (
        f"{number(named.keys)} keys of {named.source} name {number(named.rows)} rows of "
        f"{named.table}"
    )
    if named.repeats:
        line += f", {number(named.repeats)} are repeats"
    if lost:
        line += f"; {number(len(lost))} match no row:"
    err.print(line)
    for place, values in lost[:_MISSED_SHOWN]:
        err.print(f"  line {place}: {key(values)}")
    if len(lost) > _MISSED_SHOWN:
        err.print(f"  and {number(len(lost) - _MISSED_SHOWN)} more: -o json lists all")
