"""What is said of each hop: the rules that turn figures into findings.

Pure. The hops are those of the data: source (slot), capture (connector), live, replay.

Hazard: the replay lane is judged by its ledger, not by its lag: a full replay is hours
behind by design. Only its worker being away, or chunks that expired, are trouble here.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from schemas.duration import show_duration
from schemas.health.lag import (
    ConnectorState,
    GroupLag,
    PartitionLag,
    SlotLag,
    Status,
    worst,
)
from schemas.health.severity import Finding, Hop, Severity
from schemas.health.witness import Witness
from schemas.sizes import show_bytes


@dataclass(frozen=True, slots=True)
class LagThresholds:
    """Ages of the live lane's oldest event, in seconds: warning, and critical."""

    warn: float = 30.0
    crit: float = 300.0


DEFAULT_THRESHOLDS = LagThresholds()


# Worst first, as they are said.
_STUCK = {
    Status.STOP: "commits have stopped",
    Status.STALL: "commits stand still",
    Status.REWIND: "went back",
}
_TROUBLED = (Status.STOP, Status.STALL, Status.REWIND, Status.WARN)


def not_set_up(witness: Witness) -> Iterator[Finding]:
    """Yield what is wrong with a database in which `init` was never run."""
    if witness.error is not None:
        yield Finding(Severity.CRITICAL, "source", witness.error)


def existing(group: GroupLag) -> GroupLag:
    """Return the group without the partitions of topics that do not exist."""
    there: list[PartitionLag] = []
    for partition in group.partitions:
        if not partition.is_missing:
            there.append(partition)
    return replace(group, partitions=tuple(there))


def worst_first(found: Sequence[Finding]) -> tuple[Finding, ...]:
    """Sort findings by severity, keeping the order of the flow."""
    order = list(Severity)
    # sorted() is stable, which keeps the order of the flow among equals.
    return tuple(sorted(found, key=lambda finding: order.index(finding.severity)))


def of_witness(witness: Witness, seen: Finding | None) -> Iterator[Finding]:
    """Yield what the database says besides the slot.

    Args:
        witness: what was seen.
        seen: the finding about the canary; None while it comes back.
    """
    for one in witness.differences:
        yield Finding(Severity.CRITICAL, "source", f"{one.sentence}: {one.fix}")
    # Where Postgres does not answer, that was said.
    if seen is not None and (witness.canary.error is None or witness.slot.error is None):
        yield seen
    for look in witness.looks:
        yield Finding(Severity.WARNING, "replay", look.sentence)
    for late in witness.neglected:
        yield Finding(Severity.WARNING, "live" if late.what == "watch" else "replay", late.sentence)
    for edit in witness.edits:
        yield Finding(Severity.WARNING, "live", f"{edit.sentence}: {edit.fix}")
    if witness.error not in (None, witness.canary.error) and witness.slot.error is None:
        yield Finding(Severity.UNKNOWN, "source", str(witness.error))


def of_source(witness: Witness, *, capture_is_known_bad: bool) -> Iterator[Finding]:
    """Yield what is wrong with the replication slot.

    Args:
        witness: what was seen.
        capture_is_known_bad: whether a finding about the connector already explains
            that no one reads the slot.
    """
    slot, still = witness.slot, witness.slot.standstill_seconds
    if slot.error is not None:
        yield Finding(Severity.CRITICAL, "source", slot.error)
    elif slot.state == "missing":
        yield Finding(
            Severity.CRITICAL, "source", f"there is no replication slot {slot.name}: vectrue init"
        )
    elif slot.wal_status in ("unreserved", "lost"):
        words = "is lost" if slot.wal_status == "lost" else "is about to be lost"
        yield Finding(
            Severity.CRITICAL, "source", f"replication slot {slot.name} {words}{_kept(slot)}"
        )
    # A connector that is down leaves its slot unread, which would be said twice.
    elif slot.state == "inactive" and not capture_is_known_bad:
        yield Finding(
            Severity.WARNING, "source", f"no one reads replication slot {slot.name}{_kept(slot)}"
        )
    # Connect confirms only with its next flush of offsets, so a slot is still for a while.
    elif slot.state == "active" and still is not None and still > witness.slot_seconds:
        yield Finding(Severity.CRITICAL, "source", _standstill(slot, still))


def _standstill(slot: SlotLag, seconds: float) -> str:
    words = (
        f"replication slot {slot.name} has stood still for {show_duration(seconds)} while the "
        "log moves"
    )
    return f"{words}{_kept(slot)}: see the log of Kafka Connect"


def _kept(slot: SlotLag) -> str:
    return (
        ""
        if slot.retained_bytes is None
        else f", which keeps {show_bytes(slot.retained_bytes)} of WAL"
    )


def of_connector(connector: ConnectorState) -> Iterator[Finding]:
    """Yield what is wrong with the connector and its tasks."""
    name, tasks = connector.name, connector.tasks or ()
    why = f" ({connector.failure})" if connector.failure else ""
    failed = _failed(name, tasks)
    if connector.state == "FAILED":
        failed.append(f"connector {name}")
    if connector.error is not None:
        yield Finding(Severity.CRITICAL, "capture", connector.error)
    elif connector.state == "missing":
        yield Finding(Severity.CRITICAL, "capture", f"there is no connector {name}: vectrue init")
    elif failed:
        yield Finding(Severity.CRITICAL, "capture", f"{', '.join(failed)} failed{why}")
    elif connector.state != "RUNNING":
        yield Finding(
            Severity.WARNING,
            "capture",
            f"connector {name} is {(connector.state or 'unknown').lower()}",
        )
    elif not tasks:
        yield Finding(Severity.WARNING, "capture", f"connector {name} has no task")
    else:
        for number, state in enumerate(tasks):
            if state != "RUNNING":
                yield Finding(
                    Severity.WARNING,
                    "capture",
                    f"task {number} of connector {name} is {state.lower()}",
                )


def _failed(name: str, tasks: Sequence[str]) -> list[str]:
    failed: list[str] = []
    for number, state in enumerate(tasks):
        if state == "FAILED":
            failed.append(f"task {number} of connector {name}")
    return failed


def of_lane(hop: Hop, group: GroupLag, thresholds: LagThresholds | None) -> Iterator[Finding]:
    """What is to be said of a lane: its state, what is lost, what cannot be read."""
    readable = [p for p in group.partitions if p.error is None]
    oldest = worst(readable)
    if oldest is not None:
        yield Finding(
            _lane_severity(group, readable, thresholds),
            hop,
            _lane_sentence(hop, group, readable, oldest),
        )
    elif hop == "live" and group.members == 0 and readable:
        yield Finding(Severity.OK, hop, "no worker runs, nothing waits for it")
    for partition in readable:
        if partition.is_lost:
            yield Finding(Severity.CRITICAL, hop, _loss(hop, partition))
    yield from _unreadable(hop, group)
    unknown = [p for p in readable if p.waiting and p.time_lag_seconds is None]
    if unknown and thresholds is not None:
        yield Finding(
            Severity.UNKNOWN,
            hop,
            f"the age of the oldest event of {unknown[0].name} could not be read",
        )


def _lane_severity(
    group: GroupLag, partitions: Sequence[PartitionLag], thresholds: LagThresholds | None
) -> Severity:
    severity = Severity.OK
    for partition in partitions:
        age = partition.time_lag_seconds if partition.waiting else None
        if thresholds and age is not None:
            if age >= thresholds.crit:
                return Severity.CRITICAL
            if age >= thresholds.warn:
                severity = Severity.WARNING
        if partition.status in _TROUBLED or (partition.pending and group.members == 0):
            severity = Severity.WARNING
    return severity


def _lane_sentence(
    hop: Hop, group: GroupLag, partitions: Sequence[PartitionLag], oldest: PartitionLag
) -> str:
    unit = "event" if hop == "live" else "chunk"
    behind = pending = 0
    seen: set[Status] = set()
    for partition in partitions:
        behind += partition.lag or 0
        pending += partition.pending or 0
        seen.add(partition.status)
    words = []
    # That no worker runs is why commits stand still, so only one of the two is said.
    if group.members == 0:
        words.append("no worker runs")
    else:
        for status, reason in _STUCK.items():
            if status in seen:
                words.append(reason)
    if behind:
        words.append(f"{counted(behind, unit)} behind")
    if pending:
        words.append(f"{counted(pending, unit)} never committed")
    if oldest.time_lag_seconds is not None:
        words.append(f"oldest {show_duration(oldest.time_lag_seconds)}")
    return f"{', '.join(words)} ({oldest.name})"


def _loss(hop: Hop, partition: PartitionLag) -> str:
    live = hop == "live"
    fix = "vectrue replay run --only stale" if live else "run the replay again"
    # Expired events leave a gap that can be counted; a topic made again leaves none.
    if partition.lost:
        return (
            f"{counted(partition.lost, 'event' if live else 'chunk')} of {partition.name} "
            f"expired unread: {fix}"
        )
    commit = partition.current_offset
    return (
        f"the log of {partition.name} ends before the committed offset {commit}, as a topic "
        f"created again does: {fix}"
    )


def _unreadable(hop: Hop, group: GroupLag) -> Iterator[Finding]:
    if group.error is not None:
        yield Finding(Severity.UNKNOWN, hop, group.error)
        return
    # Capture waits for a topic that does not exist, for ever, at the first change of
    # its table.
    missing = [p for p in group.partitions if p.is_missing]
    broken = [p for p in group.partitions if p.error is not None and not p.is_missing]
    for severity, rows in ((Severity.CRITICAL, missing), (Severity.UNKNOWN, broken)):
        if rows:
            more = f", and {len(rows) - 1} more" if len(rows) > 1 else ""
            yield Finding(severity, hop, f"{rows[0].error}{more}")


def counted(number: int, unit: str) -> str:
    """Write a number with its unit: `1 event`, `2,000 events`."""
    return f"{number:,} {unit}{'' if number == 1 else 's'}"
