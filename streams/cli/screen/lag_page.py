"""What `vectrue lag` shows to people: the verdict, the hops before Kafka, the groups,
every partition.
"""

from collections.abc import Sequence

from rich.console import RenderableType
from rich.text import Text

from schemas import command
from schemas.health.canary import stage
from schemas.health.lag import GroupLag, PartitionLag, Status
from schemas.health.lag_report import LagReport
from schemas.health.severity import Severity
from schemas.health.witness import Canary
from schemas.sizes import show_bytes
from streams.cli.screen.output import number, seconds, styled
from streams.cli.screen.tables import Grid

_COLOURS = {
    Severity.OK: "green",
    Severity.WARNING: "yellow",
    Severity.CRITICAL: "red",
    Severity.UNKNOWN: "magenta",
}
_OFFSETS = ("CURRENT-OFFSET", "LOG-START-OFFSET", "LOG-END-OFFSET")
# the order of Kafka's own tools
_TABLE = ("GROUP", "TOPIC", "PARTITION", *_OFFSETS, "LAG", "TIME-LAG", "STATUS")
_READERS = ("CONSUMER-ID", "HOST", "CLIENT-ID")
# what a narrow screen shows last
_LAST = ("LOG-START-OFFSET", "LOG-END-OFFSET", "CURRENT-OFFSET", "GROUP")
# a lag that is unknown is said to be
_LAGS = ("LAG", "TIME-LAG", "TOTAL-LAG", "MAX-TIME-LAG", "STATUS")


def page(report: LagReport, *, wide: bool) -> Sequence[RenderableType]:
    """Everything, verdict first; `wide`: with who reads each partition."""
    first, *others = [styled(str(f), _COLOURS[f.severity]) for f in report.findings] or [
        styled(report.verdict, "green")
    ]
    first.stylize("bold")
    groups = (report.live, report.replay)
    tables = (_hops(report), _groups(groups), _partitions(groups, wide=wide))
    return (first, *others, *(part for table in tables if table for part in ("", table)))


def _hops(report: LagReport) -> Grid:
    """Slot, connector and canary, a line each."""
    slot, connector = report.slot, report.connector
    table = Grid("HOP", "NAME", "STATE", "DETAIL")
    sizes = (
        ("unconfirmed", slot.unconfirmed_bytes),
        ("retained", slot.retained_bytes),
        ("safe", slot.safe_wal_bytes),
    )
    figures = [
        f"{word} {_bytes(size)}" for word, size in sizes if size is not None or word != "safe"
    ]
    table.add_row(
        "slot", slot.name, slot.state or "-", f"wal {slot.wal_status or '-'}, {', '.join(figures)}"
    )
    tasks = ", ".join(f"task {i} {state.lower()}" for i, state in enumerate(connector.tasks or ()))
    table.add_row("connector", connector.name, (connector.state or "-").lower(), tasks or "-")
    canary = report.witness.canary
    state = "unknown" if canary.error else "back" if canary.is_fresh else "late"
    table.add_row("canary", "-", state, _way(canary))
    return table


def _way(canary: Canary) -> str:
    """Where the canary is, and how long each hop of the last one took, each by its own
    clock.
    """
    seen, last = stage(canary), canary.arrived
    words = [f"last seen {seen}"] if seen else []
    if last is not None:
        words.append(f"written {seconds(canary.age_seconds)} ago")
        hops = (
            ("captured", last.captured_at),
            ("in Kafka", last.queued_at),
            ("worker", last.worker_at),
        )
        for name, moment in (*hops, ("back", last.arrived_at)):
            if moment is not None:
                words.append(f"{name} +{(moment - last.beat.sent_at).total_seconds():.2f} s")
    return ", ".join(words) or "-"


def _groups(groups: Sequence[GroupLag]) -> Grid:
    table = Grid("GROUP", "STATE", "MEMBERS", "TOTAL-LAG", "MAX-TIME-LAG", "STATUS", keep=_LAGS)
    for group in groups:
        figures = (
            number(group.members),
            number(group.total_lag),
            seconds(group.max_time_lag_seconds),
        )
        table.add_row(group.group_name, group.state or "-", *figures, str(group.status or "-"))
    return table


def _partitions(groups: Sequence[GroupLag], *, wide: bool) -> Grid:
    """A row per partition."""
    rows = [(group.group_name, partition) for group in groups for partition in group.partitions]
    columns = (*_TABLE, *(_READERS if wide else ()), "ERROR")
    table = Grid(*columns, keep=_LAGS, last=_LAST, wide=wide)
    for group, partition in rows:
        cells = _cells(group, partition)
        table.add_row(*(cells[column] for column in columns))
    return table


def _cells(group: str, row: PartitionLag) -> dict[str, str | Text]:
    quiet = row.status in (Status.OK, Status.NO_COMMIT)
    pending = f" ({row.pending:,} pending)" if row.pending else ""
    member = row.member
    return {
        "GROUP": group,
        "TOPIC": row.topic,
        "PARTITION": number(row.partition),
        "CURRENT-OFFSET": number(row.current_offset),
        "LOG-START-OFFSET": number(row.log_start_offset),
        "LOG-END-OFFSET": number(row.log_end_offset),
        "LAG": number(row.lag),
        "TIME-LAG": seconds(row.time_lag_seconds),
        "STATUS": styled(str(row.status), "" if quiet else "yellow") + pending,
        "CONSUMER-ID": member.consumer_id if member else "-",
        "HOST": member.host if member else "-",
        "CLIENT-ID": member.client_id if member else "-",
        "ERROR": command.completed(row.error or "-"),
    }


def _bytes(size: int | None) -> str:
    return "-" if size is None else show_bytes(size)
