"""What Kafka Connect answers: the state of a connector, and reasons in few words.

Hazard: Connect answers before it has done anything: a connector is RUNNING for a
moment, also with a task that fails.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

_SENTENCE = 500  # characters of a task's error that are shown
_AROUND = ("Connector configuration is invalid", "You can also find")
"""How the sentences around the reasons in a refusal begin."""


@dataclass(frozen=True, slots=True)
class ConnectorStatus:
    """How a connector is.

    Attributes:
        state: RUNNING, PAUSED, STOPPED, FAILED, UNASSIGNED or RESTARTING.
        tasks: the state of each of its tasks.
        error: what a task or the connector failed with; None when none failed.
    """

    state: str
    tasks: tuple[str, ...]
    error: str | None

    @property
    def is_running(self) -> bool:
        """Whether the connector and at least one task run, and none does not."""
        return self.state == "RUNNING" and set(self.tasks) == {"RUNNING"}


def status(answer: Mapping[str, Any]) -> ConnectorStatus:
    """Read the answer to a request for a connector's status."""
    error: str | None = None
    for part in (answer["connector"], *answer["tasks"]):
        if part["state"] == "FAILED":
            error = reason(part.get("trace", ""))
    tasks = tuple(str(task["state"]) for task in answer["tasks"])
    return ConnectorStatus(str(answer["connector"]["state"]), tasks, error)


def position(answer: Mapping[str, Any]) -> int | None:
    """The furthest position of the log in a connector's offsets, as a number.

    Returns:
        None where it has read nothing yet.
    """
    furthest: int | None = None
    for part in answer.get("offsets", []):
        lsn = part["offset"].get("lsn") if part.get("offset") else None
        if lsn is not None and (furthest is None or int(lsn) > furthest):
            furthest = int(lsn)
    return furthest


def reason(trace: str) -> str:
    """The sentence of a Java stack trace that says what is wrong: its innermost cause."""
    lines = trace.strip().splitlines() or ["no reason given"]
    said = lines[0]
    for line in lines:
        if line.startswith("Caused by: "):
            said = line.removeprefix("Caused by: ")
    kind, _, message = said.partition(": ")
    shown = message if message and " " not in kind else said
    return shown if len(shown) <= _SENTENCE else f"{shown[:_SENTENCE]}..."


def refusal(answer: httpx.Response) -> str:
    """The reasons in a refusal of Connect, without the sentences around them."""
    try:
        message = str(answer.json()["message"])
    except (ValueError, KeyError, TypeError):
        return f"HTTP {answer.status_code}"
    lines = message.splitlines()
    reasons = [line for line in lines if line.strip() and not line.startswith(_AROUND)]
    return "; ".join(reasons) or message
