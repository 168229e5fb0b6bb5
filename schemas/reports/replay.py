"""Replay runs in the words of all commands: what is asked for, and how far it is.

Hazard: a figure that is not known is None. An estimate says that it is one (`exact`).
"""

import math
import re
import shlex
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import UUID

Only = Literal["missing", "stale", "all"]
Requester = Literal["operator", "keeper"]

UNFINISHED = ("planned", "running", "paused")
LEAST_RATE = 0.1
"""Rows per second. A slower limit would let one row wait for longer than a rebalance
may take.
"""

SURVEY_COUNTS = (
    "rows",
    "current",
    "missing",
    "stale_text",
    "stale_model",
    "blank",
    "quarantined",
    "unreadable",
)

_RATE = re.compile(r"(\d+(?:\.\d+)?)\s*(?:/\s*(s|m|h))?")
_SECONDS = {None: 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}
_LIFTED = ("none", "off")
_PLAIN_IN_QUOTES = re.compile(r'[^"$`\\!]*')


@dataclass(frozen=True, slots=True)
class Request:
    """What a run is asked to do.

    Attributes:
        only: missing: no vector; stale: missing, or text or model differs; all: every
            row.
        where: a condition in SQL that rows must meet besides; the operator's, put in as
            it stands.
        since: only rows whose vector was written before this time.
        force: embed rows that are current too, and try quarantined ones again.
        keys: the rows are named one by one.
        rate: most rows per second, over all workers.
        max_live_lag: seconds that the live lane may be behind; the setting's when None.
        chunk_size: keys in a message; the setting's when None.
        requested_by: a person, or the keeper that looks after the tables.
    """

    only: Only = "stale"
    where: str | None = None
    since: datetime | None = None
    force: bool = False
    keys: bool = False
    rate: float | None = None
    max_live_lag: float | None = None
    chunk_size: int | None = None
    requested_by: Requester = "operator"

    @property
    def is_whole(self) -> bool:
        """Whether the run is about every row of its columns."""
        return self.where is None and self.since is None and not self.keys

    @property
    def covers_stale(self) -> bool:
        """Whether it is about every row that needs a vector, as the keeper's runs are."""
        return self.is_whole and self.only != "missing"

    def same_rows(self, other: "Request") -> bool:
        """Whether going on with the other run does what this one asks for."""
        names = ("only", "where", "since", "force", "keys", "requested_by")
        # The keys of a run are not compared: two runs by keys are always two.
        return not self.keys and all(getattr(self, name) == getattr(other, name) for name in names)

    @property
    def options(self) -> str:
        """The rows asked for, as options of `replay run`."""
        if self.keys:
            return "--keys" + (" --force" if self.force else "")
        parts = [f"--only {self.only}"]
        parts += [f"--where {_quoted(self.where)}"] if self.where else []
        parts += [f"--since {_rfc3339(self.since)}"] if self.since else []
        parts += ["--force"] if self.force else []
        return " ".join(parts)


@dataclass(frozen=True, slots=True)
class ChunkState:
    """Where a chunk stands and what its run wants of the worker now."""

    done: int
    state: str = "running"
    rate: float | None = None
    max_live_lag: float | None = None
    force: bool = False


@dataclass(frozen=True, slots=True)
class Run:
    """A run as the ledger has it."""

    run: UUID
    state: str
    created_at: datetime
    finished_at: datetime | None
    waiting: str | None
    waiting_seconds: float | None
    columns: tuple[str, ...]
    request: Request

    def gives_way_to(self, request: Request) -> bool:
        """Whether it ends where this is asked for."""
        # The keeper heals by itself, so no one has to wait for its run.
        return (self.request.requested_by, request.requested_by, self.state) == (
            "keeper",
            "operator",
            "running",
        )

    @property
    def standing(self) -> str:
        """How an unfinished run is, as the end of a sentence."""
        return "is paused" if self.state == "paused" else "is not finished"

    @property
    def go_on(self) -> str:
        """The command that goes on with it."""
        # Keys are in the ledger alone by then, and only `resume` takes up a paused run.
        is_named = self.request.keys or self.state == "paused"
        command = f"resume {self.run}" if is_named else f"run {self.request.options}"
        return f"vectrue replay {command}"

    def to_json(self) -> dict[str, Any]:
        """The run as plain data."""
        asked = asdict(self.request)
        # JSON names the unit of every duration.
        asked["max_live_lag_seconds"] = asked.pop("max_live_lag")
        asked["since"] = _rfc3339(self.request.since)
        return {
            "run": str(self.run),
            "state": self.state,
            "created_at": _rfc3339(self.created_at),
            "finished_at": _rfc3339(self.finished_at),
            "waiting": self.waiting,
            "waiting_seconds": self.waiting_seconds if self.waiting else None,
            **asked,
        }


@dataclass(frozen=True, slots=True)
class ScopeProgress:
    """One column of a run as the ledger has it; counts of rows.

    `waiting` is why its run does not go on just now.
    """

    table: str
    column: str
    state: str
    expected: int
    enumerated: bool
    sent: int
    done: int
    embedded: int
    cleared: int
    current: int
    blank: int
    gone: int
    changed: int
    deferred: int
    quarantined: int
    failed: int
    obsolete: int
    waiting: str | None = None

    @property
    def total(self) -> int:
        """Rows to be handled: as counted beforehand, and as enumerated once that is over."""
        # The count may be an estimate, and rows may have been added since.
        return self.sent if self.enumerated else max(self.expected, self.sent)

    def to_json(self) -> dict[str, Any]:
        """The figures by name."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Survey:
    """Rows of one column within a run's scope, by state, and the bytes of their texts.

    `exact` is false when the figures were scaled up from a sample; `largest_bytes` is
    then the largest seen.
    """

    rows: int
    current: int
    missing: int
    stale_text: int
    stale_model: int
    blank: int
    quarantined: int
    unreadable: int
    mean_bytes: float | None
    largest_bytes: int | None
    exact: bool = True

    def selected(self, request: Request) -> int:
        """Rows that a run would send."""
        lacking = self.missing + self.stale_text + self.stale_model
        return {"missing": self.missing, "stale": lacking, "all": self.rows}[request.only]

    def to_embed(self, request: Request) -> int:
        """Rows of those that would go through the model."""
        if request.force:
            # Of a forced run blank rows are the only ones that the model never sees.
            return {"all": self.rows - self.blank}.get(request.only, self.selected(request))
        return min(self.selected(request), self.missing + self.stale_text + self.stale_model)

    def __add__(self, other: "Survey") -> "Survey":
        """Both together, where no row is in both."""
        counts = {name: getattr(self, name) + getattr(other, name) for name in SURVEY_COUNTS}
        total, size, largest = 0, 0.0, []
        for survey in (self, other):
            # A mean over both is weighted by the texts: blank rows have none.
            texts = survey.rows - survey.blank
            if survey.mean_bytes is not None:
                total += texts
                size += survey.mean_bytes * texts
            if survey.largest_bytes is not None:
                largest.append(survey.largest_bytes)
        return Survey(
            **counts,
            mean_bytes=size / total if total else None,
            largest_bytes=max(largest, default=None),
            exact=self.exact and other.exact,
        )


NO_ROWS = Survey(0, 0, 0, 0, 0, 0, 0, 0, None, None)


def is_lifted(text: str) -> bool:
    """Whether this is written for no limit: `none` or `off`."""
    return text.strip().lower() in _LIFTED


def show_rate(rate: float) -> str:
    """A rate as every command prints it: `200 rows/s`, `0.5 rows/s`."""
    return f"{f'{rate:,.3f}'.rstrip('0').rstrip('.')} rows/s"


def parse_rate(text: str) -> float | None:
    """Read a rate: `200/s`, `200`, `30/m`; `none` or `off` lifts the limit.

    Returns:
        rows per second; None for no limit.

    Raises:
        ValueError: it is none, or below LEAST_RATE.
    """
    if is_lifted(text):
        return None
    found = _RATE.fullmatch(text.strip().lower())
    if found is None:
        raise ValueError(f"{text!r} is not a rate: write it as 200/s, 200, 30/m or none")
    rate = float(found[1]) / _SECONDS[found[2]]
    # float() reads hundreds of digits as infinity.
    if not math.isfinite(rate):
        raise ValueError(f"{text[:20]}... is not a rate that can be kept: write none for no limit")
    if rate < LEAST_RATE:
        raise ValueError(
            f"{text!r} is under the least rate of {LEAST_RATE:g}/s: pause the run instead"
        )
    return rate


def _quoted(where: str) -> str:
    """A condition as a shell takes it, in double quotes where they change nothing."""
    return f'"{where}"' if _PLAIN_IN_QUOTES.fullmatch(where) else shlex.quote(where)


def _rfc3339(time: datetime | None) -> str | None:
    # To the microsecond: what is read back from here selects rows.
    return None if time is None else time.astimezone(UTC).isoformat().replace("+00:00", "Z")
