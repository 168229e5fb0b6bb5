"""The verdict on a lag report: which hop is worst, in words, and how bad that is.

Pure. The hops are those of the data: source (slot), capture (connector), live, replay.

Hazards:
- Lag zero is not fresh: with the slot or the connector stopped, nothing reaches Kafka
  and every lag is 0; and both may look well while nothing is delivered. So every
  verdict needs its witness: the canary, the slot's movement, tables that are yet to be
  looked at, what is configured and not there.
- The replay lane is judged by its ledger, not by its lag: a full replay is hours behind
  by design. Only its worker being away, or chunks that expired, are trouble here.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from schemas.duration import show_duration
from schemas.health import canary as canaries
from schemas.health.lag import (
    ConnectorState,
    GroupLag,
    PartitionLag,
    SlotLag,
    Status,
    rfc3339,
    worst,
)
from schemas.health.severity import Finding, Hop, Severity
from schemas.health.witness import Witness


@dataclass(frozen=True, slots=True)
class LagThresholds:
    """Ages of the live lane's oldest unprocessed event, in seconds, from which it is a
    warning, and critical.
    """

    warn: float = 30.0
    crit: float = 300.0


DEFAULT_THRESHOLDS = LagThresholds()


@dataclass(frozen=True, slots=True)
class LagReport:
    """Everything `vectrue lag` knows at one moment.

    `kafka_error` is set when no broker answered; both groups then hold nothing.
    """

    time: datetime
    live: GroupLag
    replay: GroupLag
    witness: Witness
    connector: ConnectorState
    thresholds: LagThresholds = DEFAULT_THRESHOLDS
    kafka_error: str | None = None

    @property
    def slot(self) -> SlotLag:
        """The replication slot."""
        return self.witness.slot

    @property
    def canary(self) -> Finding | None:
        """What is to be said about the canary; None while it comes back."""
        paused = self.connector.state in ("PAUSED", "STOPPED")
        return canaries.judge(self.witness.canary, self.thresholds.crit, is_paused=paused)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What is to be said, worst first, then in the order of the flow."""
        # then nothing that is missing has a cause of its own
        unset = not self.witness.is_founded
        capture = (
            [] if unset and self.connector.state == "missing" else list(_capture(self.connector))
        )
        found = list(
            _unset(self.witness)
            if unset
            else _source(self.witness, capture_is_known_bad=bool(capture))
        )
        found += capture
        if not unset:
            found += _witnessed(self.witness, self.canary)
        if self.kafka_error is not None:
            found.append(Finding(Severity.CRITICAL, "live", self.kafka_error))
        else:
            live, replay = (_there(group) if unset else group for group in (self.live, self.replay))
            found += [*_lane("live", live, self.thresholds), *_lane("replay", replay, None)]
        return _sorted(found)

    @property
    def severity(self) -> Severity:
        """The worst finding's."""
        return self.findings[0].severity if self.findings else Severity.OK

    @property
    def verdict(self) -> str:
        """One line: the worst hop and what is wrong with it, or that all is caught up."""
        return str(self.findings[0]) if self.findings else "all caught up"

    def to_json(self) -> dict[str, Any]:
        """The report as plain data; durations in seconds, sizes in bytes, None for
        unknown.
        """
        return {
            "time": rfc3339(self.time),
            "status": str(self.severity),
            "hop": self.findings[0].hop if self.findings else None,
            "verdict": self.verdict,
            "groups": [
                {"lane": "live", **self.live.to_json()},
                {"lane": "replay", **self.replay.to_json()},
            ],
            "witness": {
                **self.witness.to_json(),
                "canary": canaries.to_json(self.witness.canary, self.canary),
            },
            "slot": self.slot.to_json(),
            "connector": self.connector.to_json(),
            "error": self.kafka_error,
        }

    def plugin_lines(self) -> list[str]:
        """The report as a monitoring plugin prints it: state, detail and performance
        data, then the other findings.
        """
        lag, age = self.live.total_lag, self.live.max_time_lag_seconds
        figures = (
            f"time_lag={_figure(age, 's')};{self.thresholds.warn:g};{self.thresholds.crit:g} "
            f"lag={_figure(lag)}"
            f" replay_lag={_figure(self.replay.total_lag)} "
            f"slot_retained={_figure(self.slot.retained_bytes, 'B')}"
            f" canary_age={_figure(self.witness.canary.age_seconds, 's')}"
        )
        rest = [f"{finding.severity} - {_plain(str(finding))}" for finding in self.findings[1:]]
        return [f"LAG {self.severity} - {_plain(self.verdict)} | {figures}", *rest]


def plugin_line(severity: Severity, sentence: str) -> str:
    """The first line of a check that has no figures."""
    return f"LAG {severity} - {_plain(sentence)}"


def witnessed(
    witness: Witness, crit_seconds: float = DEFAULT_THRESHOLDS.crit
) -> tuple[Finding, ...]:
    """What the database alone says against "all is well", worst first; nothing when all
    was seen to be well.

    Args:
        witness: what was seen.
        crit_seconds: age of a waiting canary from which it is critical.
    """
    found = [*_source(witness, capture_is_known_bad=False)]
    return _sorted([*found, *_witnessed(witness, canaries.judge(witness.canary, crit_seconds))])


def brief(witness: Witness) -> str:
    """`arrive`, or what speaks against it, without the name of a table, server or slot:
    anyone may read a probe.
    """
    said = canaries.judge(witness.canary, DEFAULT_THRESHOLDS.crit)
    if witness.canary.error is not None or witness.error is not None:
        return "unknown: vectrue doctor"
    if said is not None:
        return said.sentence
    if witness.differences:
        return "what is configured is not what is there: vectrue doctor"
    if any(_source(witness, capture_is_known_bad=False)):
        return "the replication slot is not well: vectrue lag"
    if witness.looks:
        return (
            f"the rows of {_count(len(witness.looks), 'table')} are yet to be looked at: "
            "vectrue lag"
        )
    if witness.neglected:
        return "nobody looks after the rows: vectrue lag"
    return "arrive"


def _unset(witness: Witness) -> Iterator[Finding]:
    if witness.error is not None:
        yield Finding(Severity.CRITICAL, "source", witness.error)


def _there(group: GroupLag) -> GroupLag:
    return replace(group, partitions=tuple(p for p in group.partitions if not p.is_missing))


def _sorted(found: Sequence[Finding]) -> tuple[Finding, ...]:
    order = list(Severity)
    return tuple(sorted(found, key=lambda finding: order.index(finding.severity)))


def _witnessed(witness: Witness, seen: Finding | None) -> Iterator[Finding]:
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


def _source(witness: Witness, *, capture_is_known_bad: bool) -> Iterator[Finding]:
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
    elif slot.state == "inactive" and not capture_is_known_bad:
        yield Finding(
            Severity.WARNING, "source", f"nobody reads replication slot {slot.name}{_kept(slot)}"
        )
    elif slot.state == "active" and still is not None and still > witness.slot_seconds:
        words = (
            f"replication slot {slot.name} has stood still for {show_duration(still)} while the "
            "log moves"
        )
        yield Finding(
            Severity.CRITICAL, "source", f"{words}{_kept(slot)}: see the log of Kafka Connect"
        )


def _kept(slot: SlotLag) -> str:
    return (
        ""
        if slot.retained_bytes is None
        else f", which keeps {show_bytes(slot.retained_bytes)} of WAL"
    )


def _capture(connector: ConnectorState) -> Iterator[Finding]:
    name, tasks = connector.name, connector.tasks or ()
    why = f" ({connector.failure})" if connector.failure else ""
    failed = [
        f"task {number} of connector {name}"
        for number, state in enumerate(tasks)
        if state == "FAILED"
    ]
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


def _lane(hop: Hop, group: GroupLag, thresholds: LagThresholds | None) -> Iterator[Finding]:
    """What is to be said of a lane: its state in one sentence, then what is lost, then
    what cannot be read.
    """
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
    for partition in (p for p in readable if p.is_lost):
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
    ages = [p.time_lag_seconds for p in partitions if p.waiting and p.time_lag_seconds is not None]
    if thresholds and any(age >= thresholds.crit for age in ages):
        return Severity.CRITICAL
    if thresholds and any(age >= thresholds.warn for age in ages):
        return Severity.WARNING
    if any(p.status in (Status.STOP, Status.STALL, Status.REWIND, Status.WARN) for p in partitions):
        return Severity.WARNING
    unstarted = any(p.pending for p in partitions) and group.members == 0
    return Severity.WARNING if unstarted else Severity.OK


def _lane_sentence(
    hop: Hop, group: GroupLag, partitions: Sequence[PartitionLag], oldest: PartitionLag
) -> str:
    unit = "event" if hop == "live" else "chunk"
    behind = sum(p.lag or 0 for p in partitions)
    pending = sum(p.pending or 0 for p in partitions)
    words = []
    if group.members == 0:
        words.append("no worker runs")
    stuck = {p.status for p in partitions} & {Status.STOP, Status.STALL, Status.REWIND}
    if stuck and group.members != 0:
        reasons = {
            Status.STOP: "commits have stopped",
            Status.STALL: "commits stand still",
            Status.REWIND: "went back",
        }
        words += [reasons[status] for status in Status if status in stuck]
    if behind:
        words.append(f"{_count(behind, unit)} behind")
    if pending:
        words.append(f"{_count(pending, unit)} never committed")
    if oldest.time_lag_seconds is not None:
        words.append(f"oldest {show_duration(oldest.time_lag_seconds)}")
    return f"{', '.join(words)} ({oldest.name})"


def _loss(hop: Hop, partition: PartitionLag) -> str:
    live = hop == "live"
    mend = "vectrue replay run --only stale" if live else "run the replay again"
    if partition.lost:
        return (
            f"{_count(partition.lost, 'event' if live else 'chunk')} of {partition.name} "
            f"expired unread: {mend}"
        )
    commit = partition.current_offset
    return (
        f"the log of {partition.name} ends before the committed offset {commit}, as a topic "
        f"made anew does: {mend}"
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


def _count(number: int, unit: str) -> str:
    return f"{number:,} {unit}{'' if number == 1 else 's'}"


def show_bytes(size: int) -> str:
    """Write a size for people, in units of 1024."""
    value = float(size)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(value) < 1024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"


def _figure(value: float | None, unit: str = "") -> str:
    """A number of performance data; `U` is the plugins' word for unknown."""
    return "U" if value is None else f"{round(value, 3):.10g}{unit}"


def _plain(text: str) -> str:
    """One line without the `|` that begins performance data."""
    return " ".join(text.replace("|", "/").split())
