"""What a campaign came to: figures as data, as JSON, and as a table."""

import statistics
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console

from tests.support import figures

_SHOWN = 10


@dataclass
class Report:
    """Figures of one campaign. Durations in seconds.

    Attributes:
        seed: of all generators.
        seconds: how long it took, without the start of the stack.
        faults: by kind.
        fault_log: each fault: when, kind, what it hit.
        changes: rows changed by the load, by kind.
        rolled_back: transactions of the load that were rolled back on purpose.
        aborted: transactions of the load that a fault, a lock or a deadlock ended.
        rows_checked: rows judged by the checker, over all checks.
        checks: quiescent points at which all rows were judged.
        polls: looks of the watch for I3, and those that a fault took away.
        deferrals: records in the deferred topic: locked rows and early events, and
            looks that came too soon.
        rows_refused: of the rows checked, those with a text that the model refuses, or
            that a trigger changes every time, each in quarantine.
        rows_unreadable: of the rows checked, those of which Postgres makes no text,
            each in quarantine.
        rows_lost: rows that were not handled although the lag was 0.
        vectors_untrue: vectors of another text than the row's, when they were written
            or when they were checked.
        offsets_past: events below a committed offset whose row was not handled.
        verdicts: how often `lag` was read, and how often it said that all is well.
        marks: changes of the operators' faults that were followed.
        green_while_stuck: how often it said so while one of them was stuck.
        poison_events: records sent that cannot be read, and those of them that became
            dead letters.
        quarantine_left: lines of the quarantine at the end, when no row has a refused
            text any more.
        violations: promises broken, in words.
        unexplained_exits: workers that ended as they should not.
        exits: exit codes of workers.
        restarts: why workers asked to be restarted (exit 70).
        slow_stops: workers that took more than 30 s to end after SIGTERM, and were
            killed as a supervisor does (I9).
        command_exits: exit codes of `replay run`.
        converged: from the pause of the load until every row was true, after each group
            of faults.
        runs_finished: replay runs in state done.
        vector_writes: what the audit trigger saw, by kind.
        encoded: texts the workers encoded.
        text_changes: changes that need a vector.
    """

    seed: int
    seconds: float = 0.0
    faults: Counter[str] = field(default_factory=Counter)
    fault_log: list[str] = field(default_factory=list)
    changes: Counter[str] = field(default_factory=Counter)
    rolled_back: int = 0
    aborted: int = 0
    rows_checked: int = 0
    checks: int = 0
    polls: int = 0
    polls_skipped: int = 0
    deferrals: int = 0
    rows_refused: int = 0
    rows_unreadable: int = 0
    rows_lost: int = 0
    vectors_untrue: int = 0
    offsets_past: int = 0
    verdicts: int = 0
    verdicts_green: int = 0
    marks: int = 0
    green_while_stuck: int = 0
    poison_events: int = 0
    dead_letters: int = 0
    quarantine_left: int = 0
    violations: list[str] = field(default_factory=list)
    unexplained_exits: list[str] = field(default_factory=list)
    exits: Counter[str] = field(default_factory=Counter)
    restarts: list[str] = field(default_factory=list)
    slow_stops: list[str] = field(default_factory=list)
    command_exits: Counter[str] = field(default_factory=Counter)
    converged: list[float] = field(default_factory=list)
    runs_finished: int = 0
    vector_writes: dict[str, int] = field(default_factory=dict)
    encoded: int = 0
    text_changes: int = 0

    @property
    def is_clean(self) -> bool:
        """Whether no promise was broken."""
        return not self.violations and not self.unexplained_exits and not self.slow_stops

    def to_json(self) -> dict[str, Any]:
        """All figures by name."""
        return {
            **{
                name: dict(value) if isinstance(value, Counter) else value
                for name, value in vars(self).items()
            },
            "ok": self.is_clean,
            "converged_median": self.median,
            "converged_worst": max(self.converged, default=None),
            "encoded_per_text_change": self.per_change,
        }

    @property
    def median(self) -> float | None:
        """Median time to convergence; None when nothing converged."""
        return statistics.median(self.converged) if self.converged else None

    @property
    def per_change(self) -> float | None:
        """Texts encoded per change of a text; None without changes."""
        return round(self.encoded / self.text_changes, 3) if self.text_changes else None

    def write(self, file: str) -> None:
        """Write the JSON."""
        figures.dump(file, self.to_json())

    def write_markdown(self, file: str) -> None:
        """Write the figures as a table for docs/soak.md."""
        verdict = "kept" if self.is_clean else "BROKEN"
        with open(file, "w", encoding="utf-8") as out:  # noqa: PTH123 - a path as the user gave it, /dev/stdout included
            out.write(
                figures.markdown((f"seed {self.seed}", f"every promise {verdict}"), self._figures())
            )

    def _figures(self) -> list[tuple[str, object]]:
        return [
            ("faults", f"{self.faults.total()} in {self.seconds:.0f} s"),
            *((f"  {kind}", count) for kind, count in sorted(self.faults.items())),
            ("changes", f"{self.changes.total():,}"),
            *((f"  {kind}", f"{count:,}") for kind, count in sorted(self.changes.items())),
            (
                "transactions undone",
                f"{self.rolled_back:,} on purpose, {self.aborted:,} by faults and locks",
            ),
            ("rows checked", f"{self.rows_checked:,} at {self.checks} quiescent points"),
            ("  with a refused text, in quarantine", f"{self.rows_refused:,}"),
            ("  with a text that cannot be made, in quarantine", f"{self.rows_unreadable:,}"),
            (
                "unreadable events",
                f"{self.poison_events}, of which dead letters {self.dead_letters}",
            ),
            ("quarantine lines left at the end", self.quarantine_left),
            (
                "looks at the offsets (I3)",
                f"{self.polls} and {self.polls_skipped} that a fault took away",
            ),
            ("verdicts of lag (I11)", f"{self.verdicts}, of which green {self.verdicts_green}"),
            ("  changes followed, green while stuck", f"{self.marks}, {self.green_while_stuck}"),
            ("records deferred", f"{self.deferrals:,}"),
            ("vector writes", _counts(self.vector_writes)),
            (
                "texts encoded",
                f"{self.encoded:,} = {_number(self.per_change)} per change of a text",
            ),
            ("replay runs finished", self.runs_finished),
            ("replay command exits", _counts(self.command_exits)),
            ("worker exits", _counts(self.exits)),
            ("killed 30 s after SIGTERM", len(self.slow_stops)),
            (
                "converged, median / worst",
                f"{_number(self.median)} / {_number(max(self.converged, default=None))} s",
            ),
            ("unexplained exits", len(self.unexplained_exits)),
            ("rows lost", self.rows_lost),
            ("vectors untrue", self.vectors_untrue),
            ("offsets past an unhandled row", self.offsets_past),
            ("violations of any kind", len(self.violations)),
        ]

    def print(self) -> None:
        """Print the table, and what is wrong."""
        console = Console()
        figures.show(console, f"soak campaign, seed {self.seed}", self._figures())
        problems = (
            *self.violations[:_SHOWN],
            *self.unexplained_exits[:_SHOWN],
            *self.slow_stops[:_SHOWN],
        )
        for problem in problems:
            console.print(f"  {problem}", markup=False, highlight=False, soft_wrap=True)
        if not self.is_clean:
            last = self.fault_log[-1] if self.fault_log else "none"
            console.print(
                f"FAILED with seed {self.seed}; last fault: {last}", markup=False, soft_wrap=True
            )


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name}: {count:,}" for name, count in sorted(counts.items())) or "-"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
