"""What a migration under load came to: figures as data, as JSON and as a table."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from rich.console import Console

from connectors.ports import Embedder
from tests.bench import judge
from tests.bench.clients import Asked, Edited
from tests.bench.judge import Served
from tests.support import figures

_UNLOADED = ("fill", "heal by replay")
"""Steps beside which not both clients are at work."""


@dataclass
class Report:
    """Figures of one migration there and back. Times in seconds since the epoch; recall
    from 0 to 1, by table.

    Attributes:
        rows: of each of the two tables.
        steps: begin and end of each.
        swapped: begin of the transaction of the swap, by the database's clock.
        rolled_back: end of the command that went back.
        recall_before: of HNSW at 768 numbers.
        recall_after: at 1024.
        edits_lost_swapped: edited rows that a column did not follow within a minute,
            after the swap.
        edits_lost: the same at the end.
        stale_counted: rows of the old column that `status` counted after the way back.
        stale_true: the same by the models' own count.
        stale_left: what `status` counted after the replay.
        untrue_left: by the models' own count.
        searches: all of them; `failed` those with an error.
        models: searches by the model that answered.
    """

    rows: int
    steps: dict[str, tuple[float, float]] = field(default_factory=dict)
    swapped: float = 0.0
    rolled_back: float = 0.0
    recall_before: dict[str, float] = field(default_factory=dict)
    recall_after: dict[str, float] = field(default_factory=dict)
    edits_lost_swapped: int = 0
    edits_lost: int = 0
    stale_counted: int = 0
    stale_true: int = 0
    stale_left: int = 0
    untrue_left: int = 0
    searches: int = 0
    failed: list[str] = field(default_factory=list)
    models: Counter[str] = field(default_factory=Counter)
    not_first: int = 0
    out_of_turn: int = 0
    last_old: float | None = None
    first_new: float | None = None
    edits: int = 0
    edits_refused: list[str] = field(default_factory=list)
    edited_rows: int = 0
    by_step: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def is_clean(self) -> bool:
        """Whether no reader broke, nothing was mixed and no edit was lost."""
        broken = (*self.failed, *self.edits_refused)
        counts = (
            self.models["neither"],
            self.out_of_turn,
            self.edits_lost,
            self.edits_lost_swapped,
        )
        healed = not (self.stale_left or self.untrue_left) and self.stale_counted == self.stale_true
        return not broken and not any(counts) and healed

    def judge(
        self, asked: Sequence[Asked], edits: Sequence[Edited], models: Mapping[str, Embedder]
    ) -> None:
        """Take in what the clients saw.

        Args:
            asked: every search.
            edits: every edit.
            models: the old one, then the new one, by the names to give.
        """
        old, new = models
        answered = judge.served([one for one in asked if one.error is None], models)
        self.searches = len(asked)
        self.failed = [one.error for one in asked if one.error is not None]
        self.models = Counter(one.model for one in answered)
        self.not_first = sum(not one.first for one in answered)
        self._turn(answered, old, new)
        self.edits, self.edited_rows = len(edits), len({edit.row for edit in edits})
        self.edits_refused = [edit.error for edit in edits if edit.error is not None]
        for name, (began, ended) in self.steps.items():
            looked = [one.ended - one.began for one in asked if one.step == name]
            edited = [one.ended - one.began for one in edits if one.step == name]
            self.by_step[name] = {
                "seconds": ended - began,
                "searches": len(looked),
                "median_search": median(looked) if looked else None,
                "longest_search": max(looked, default=None),
                "edits": len(edited),
                "longest_edit": max(edited, default=None),
            }

    def _turn(self, answered: Sequence[Served], old: str, new: str) -> None:
        """Old vectors until the swap, new ones from then until the way back: who
        answered out of turn?
        """
        back, over = self.steps["rollback"]
        swap_over = self.steps["swap"][1]
        ahead = [one for one in answered if one.asked.began < back]
        olds = [one.asked.ended for one in ahead if one.model == old]
        news = [one.asked.ended for one in ahead if one.model == new]
        self.last_old, self.first_new = max(olds, default=None), min(news, default=None)
        for one in answered:
            wrong = (
                (one.model == new and one.asked.ended < self.swapped)
                or (one.model == old and swap_over < one.asked.began < one.asked.ended < back)
                or (one.model == new and one.asked.began > over)
            )
            self.out_of_turn += wrong

    def to_json(self) -> dict[str, Any]:
        """All figures by name."""
        return {**vars(self), "models": dict(self.models), "ok": self.is_clean}

    def lines(self) -> list[tuple[str, object]]:
        """The table."""
        loaded = {name: line for name, line in self.by_step.items() if name not in _UNLOADED}
        return [
            ("rows", f"{self.rows:,} questions and {self.rows:,} answers, HNSW on both"),
            ("searches that failed", f"{len(self.failed)} of {self.searches:,}"),
            ("searches with mixed models", self.models["neither"]),
            ("searches that found edited rows alone, not judged", self.models["unknown"]),
            ("searches by a model out of turn", self.out_of_turn),
            (
                "searches whose own row came first",
                f"{self.searches - len(self.failed) - self.not_first:,}",
            ),
            ("last answer from old vectors", _after(self.last_old, self.swapped)),
            ("first answer from new vectors", _after(self.first_new, self.swapped)),
            ("edits refused", f"{len(self.edits_refused)} of {self.edits:,}"),
            ("edited rows that a column lost, after the swap", f"{self.edits_lost_swapped}"),
            (
                "edited rows that a column lost, at the end",
                f"{self.edits_lost} of {self.edited_rows:,}",
            ),
            ("longest blocked search", _longest(loaded, "longest_search")),
            ("longest blocked edit", _longest(loaded, "longest_edit")),
            *((f"  {name}", _step(line)) for name, line in self.by_step.items()),
            ("recall@10 of HNSW, 768 numbers", _recall(self.recall_before)),
            ("recall@10 of HNSW, 1024 numbers", _recall(self.recall_after)),
            (
                "stale after the way back, by `status`",
                f"{self.stale_counted} (by the models: {self.stale_true})",
            ),
            (
                "stale after a replay, by `status`",
                f"{self.stale_left} (by the models: {self.untrue_left})",
            ),
        ]

    def markdown(self, command: str) -> str:
        """The table for docs/measurements.md, and the command that repeats it."""
        verdict = "every promise kept" if self.is_clean else "a promise BROKEN"
        table = figures.markdown(("vector(768) to vector(1024) and back", verdict), self.lines())
        return f"`{command}`\n\n{table}"

    def print(self) -> None:
        """Print the table, and what is wrong."""
        console = Console(width=160)
        figures.show(console, "vector(768) to vector(1024) and back, under load", self.lines())
        for problem in (*self.failed[:5], *self.edits_refused[:5]):
            console.print(f"  {problem}", markup=False, soft_wrap=True)


def _after(time: float | None, swap: float) -> str:
    return "-" if time is None else f"{(time - swap) * 1000:+,.0f} ms from the swap"


def _longest(steps: Mapping[str, Mapping[str, Any]], figure: str) -> str:
    known = [(line[figure], name) for name, line in steps.items() if line[figure] is not None]
    return f"{max(known)[0] * 1000:,.0f} ms, during: {max(known)[1]}" if known else "-"


def _step(line: Mapping[str, Any]) -> str:
    parts = [f"{line['seconds']:.1f} s"]
    if line["searches"]:
        middle, longest = _ms(line["median_search"]), _ms(line["longest_search"])
        parts.append(f"{line['searches']:,} searches, median {middle}, longest {longest}")
    if line["edits"]:
        parts.append(f"{line['edits']:,} edits, longest {_ms(line['longest_edit'])}")
    return "; ".join(parts)


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:,.0f} ms"


def _recall(by_table: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.3f}" for name, value in by_table.items()) or "-"
