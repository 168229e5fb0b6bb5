"""The page of `vectrue lag`: the verdict, the hops before Kafka, groups, partitions."""

from collections.abc import Sequence

from rich.console import RenderableType
from rich.text import Text

from schemas import command
from schemas.health.canary import stage
from schemas.health.lag import ConnectorState, GroupLag, PartitionLag, SlotLag, Status
from schemas.health.lag_report import LagReport
from schemas.health.severity import Severity
from schemas.health.witness import Canary
from schemas.sizes import show_bytes
from streams.cli.formatting import UNKNOWN, duration, number
from streams.cli.screen.output import styled
from streams.cli.screen.tables import Grid

_COLOURS = {
    Severity.OK: "green",
    Severity.WARNING: "yellow",
    Severity.CRITICAL: "red",
    Severity.UNKNOWN: "magenta",
}
# The order of Kafka's own tools.
_TABLE = (
    "GROUP",
    "TOPIC",
    "PARTITION",
    "CURRENT-OFFSET",
    "LOG-START-OFFSET",
    "LOG-END-OFFSET",
    "LAG",
    "TIME-LAG",
    "STATUS",
)
_READERS = ("CONSUMER-ID", "HOST", "CLIENT-ID")
# What a narrow screen shows last.
_LAST = ("LOG-START-OFFSET", "LOG-END-OFFSET", "CURRENT-OFFSET", "GROUP")
# Shown even when unknown: an unknown lag is a finding.
_LAGS = ("LAG", "TIME-LAG", "TOTAL-LAG", "MAX-TIME-LAG", "STATUS")


def page(report: LagReport, *, wide: bool) -> Sequence[RenderableType]:
    """Lay out a report.

    Args:
        report: what was read.
        wide: whether to show who reads each partition.

    Returns:
        What is printed, the verdict first.
    """
    parts: list[RenderableType] = []
    for finding in report.findings:
        parts.append(styled(str(finding), _COLOURS[finding.severity]))
    if not parts:
        parts.append(styled(report.verdict, "green"))
    if isinstance(parts[0], Text):
        parts[0].stylize("bold")
    groups = (report.live, report.replay)
    for table in (_hops(report), _groups(groups), _partitions(groups, wide=wide)):
        if table:
            parts += ["", table]
    return parts


def _hops(report: LagReport) -> Grid:
    """Return a row each for slot, connector and canary."""
    table = Grid("HOP", "NAME", "STATE", "DETAIL")
    slot, connector = report.slot, report.connector
    table.add_row("slot", slot.name, slot.state or UNKNOWN, _slot(slot))
    state = (connector.state or UNKNOWN).lower()
    table.add_row("connector", connector.name, state, _tasks(connector))
    canary = report.witness.canary
    table.add_row("canary", UNKNOWN, _canary_state(canary), _way(canary))
    return table


def _slot(slot: SlotLag) -> str:
    words = [
        f"wal {slot.wal_status or UNKNOWN}",
        f"unconfirmed {_bytes(slot.unconfirmed_bytes)}",
        f"retained {_bytes(slot.retained_bytes)}",
    ]
    # Postgres reports it only where max_slot_wal_keep_size limits the log.
    if slot.safe_wal_bytes is not None:
        words.append(f"safe {_bytes(slot.safe_wal_bytes)}")
    return ", ".join(words)


def _tasks(connector: ConnectorState) -> str:
    words = []
    for task, state in enumerate(connector.tasks or ()):
        words.append(f"task {task} {state.lower()}")
    return ", ".join(words) or UNKNOWN


def _canary_state(canary: Canary) -> str:
    if canary.error:
        return "unknown"
    return "back" if canary.is_fresh else "late"


def _way(canary: Canary) -> str:
    """Return where the canary is, and how long each hop of the last one took.

    Hazard: each time is read from the clock of its own machine.
    """
    words = []
    seen, last = stage(canary), canary.arrived
    if seen:
        words.append(f"last seen {seen}")
    if last is not None:
        words.append(f"written {duration(canary.age_seconds)} ago")
        hops = (
            ("captured", last.captured_at),
            ("in Kafka", last.queued_at),
            ("worker", last.worker_at),
            ("back", last.arrived_at),
        )
        for name, moment in hops:
            if moment is not None:
                took = (moment - last.beat.sent_at).total_seconds()
                words.append(f"{name} +{took:.2f} s")
    return ", ".join(words) or UNKNOWN


def _groups(groups: Sequence[GroupLag]) -> Grid:
    table = Grid("GROUP", "STATE", "MEMBERS", "TOTAL-LAG", "MAX-TIME-LAG", "STATUS", keep=_LAGS)
    for group in groups:
        table.add_row(
            group.group_name,
            group.state or UNKNOWN,
            number(group.members),
            number(group.total_lag),
            duration(group.max_time_lag_seconds),
            str(group.status or UNKNOWN),
        )
    return table


def _partitions(groups: Sequence[GroupLag], *, wide: bool) -> Grid:
    readers = _READERS if wide else ()
    columns = (*_TABLE, *readers, "ERROR")
    table = Grid(*columns, keep=_LAGS, last=_LAST, wide=wide)
    for group in groups:
        for partition in group.partitions:
            cells = _cells(group.group_name, partition)
            table.add_row(*[cells[column] for column in columns])
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
        "TIME-LAG": duration(row.time_lag_seconds),
        "STATUS": styled(str(row.status), "" if quiet else "yellow") + pending,
        "CONSUMER-ID": member.consumer_id if member else UNKNOWN,
        "HOST": member.host if member else UNKNOWN,
        "CLIENT-ID": member.client_id if member else UNKNOWN,
        "ERROR": command.completed(row.error or UNKNOWN),
    }


def _bytes(size: int | None) -> str:
    # As the verdict above it writes them, which counts in KiB as Postgres does.
    return UNKNOWN if size is None else show_bytes(size)
