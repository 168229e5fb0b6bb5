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

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from schemas.duration import rfc3339
from schemas.health import canary as canaries
from schemas.health.lag import (
    ConnectorState,
    GroupLag,
    SlotLag,
)
from schemas.health.lag_findings import (
    DEFAULT_THRESHOLDS,
    LagThresholds,
    counted,
    existing,
    not_set_up,
    of_connector,
    of_lane,
    of_source,
    of_witness,
    worst_first,
)
from schemas.health.severity import Finding, Severity
from schemas.health.witness import Witness


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
        # Before `init` nothing that is missing has a cause of its own.
        unset = not self.witness.is_founded
        capture: list[Finding] = []
        if not unset or self.connector.state != "missing":
            capture += of_connector(self.connector)
        found: list[Finding] = []
        if unset:
            found += not_set_up(self.witness)
        else:
            found += of_source(self.witness, capture_is_known_bad=bool(capture))
        found += capture
        if not unset:
            found += of_witness(self.witness, self.canary)
        # Both groups hold nothing then, which would read as caught up.
        if self.kafka_error is not None:
            found.append(Finding(Severity.CRITICAL, "live", self.kafka_error))
        else:
            live = existing(self.live) if unset else self.live
            replay = existing(self.replay) if unset else self.replay
            found += of_lane("live", live, self.thresholds)
            # Without thresholds: a full replay is hours behind by design.
            found += of_lane("replay", replay, None)
        return worst_first(found)

    @property
    def severity(self) -> Severity:
        """The worst finding's."""
        return self.findings[0].severity if self.findings else Severity.OK

    @property
    def verdict(self) -> str:
        """One line: the worst hop and what is wrong with it, or that all is caught up."""
        return str(self.findings[0]) if self.findings else "all caught up"

    def to_json(self) -> dict[str, Any]:
        """The report as plain data; seconds, bytes, None for unknown."""
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
        """The report as a monitoring plugin prints it: state and figures, then the rest."""
        lag, age = self.live.total_lag, self.live.max_time_lag_seconds
        figures = (
            f"time_lag={_figure(age, 's')};{self.thresholds.warn:g};{self.thresholds.crit:g} "
            f"lag={_figure(lag)}"
            f" replay_lag={_figure(self.replay.total_lag)} "
            f"slot_retained={_figure(self.slot.retained_bytes, 'B')}"
            f" canary_age={_figure(self.witness.canary.age_seconds, 's')}"
        )
        lines = [f"LAG {self.severity} - {_plain(self.verdict)} | {figures}"]
        # The first finding is the verdict.
        for finding in self.findings[1:]:
            lines.append(f"{finding.severity} - {_plain(str(finding))}")
        return lines


def plugin_line(severity: Severity, sentence: str) -> str:
    """The first line of a check that has no figures."""
    return f"LAG {severity} - {_plain(sentence)}"


def witnessed(
    witness: Witness, crit_seconds: float = DEFAULT_THRESHOLDS.crit
) -> tuple[Finding, ...]:
    """What the database alone says against "all is well", worst first.

    Args:
        witness: what was seen.
        crit_seconds: age of a waiting canary from which it is critical.
    """
    found = [*of_source(witness, capture_is_known_bad=False)]
    return worst_first([*found, *of_witness(witness, canaries.judge(witness.canary, crit_seconds))])


def brief(witness: Witness) -> str:
    """`arrive`, or what speaks against it.

    It has no name of a table, server or slot: anyone may read a probe.
    """
    said = canaries.judge(witness.canary, DEFAULT_THRESHOLDS.crit)
    if witness.canary.error is not None or witness.error is not None:
        return "unknown: vectrue doctor"
    if said is not None:
        return said.sentence
    if witness.differences:
        return "what is configured is not what is there: vectrue doctor"
    if any(of_source(witness, capture_is_known_bad=False)):
        return "the replication slot is not well: vectrue lag"
    if witness.looks:
        return (
            f"the rows of {counted(len(witness.looks), 'table')} are yet to be looked at: "
            "vectrue lag"
        )
    if witness.neglected:
        return "no one looks after the rows: vectrue lag"
    return "arrive"


def _figure(value: float | None, unit: str = "") -> str:
    """A number of performance data; `U` is the plugins' word for unknown."""
    return "U" if value is None else f"{round(value, 3):.10g}{unit}"


def _plain(text: str) -> str:
    """One line for a monitoring plugin."""
    # A plugin's output is one line, and `|` begins its performance data.
    return " ".join(text.replace("|", "/").split())
