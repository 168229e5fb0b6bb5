"""What the verdicts say of a workplace, for tests that hold the canary up."""

import json
from typing import Any

from connectors.clock import SystemClock
from schemas.health.check_result import CheckResult
from schemas.health.lag_report import LagReport
from streams.operations import doctor
from streams.operations.lag import collect
from tests.support.waiting import until
from tests.support.workplace import Workplace

QUICK = {"seconds": 0.5, "late_seconds": 5, "slot_seconds": 10}
"""A canary that is soon late; on a busy machine a beat takes a second or two."""


def until_green(place: Workplace) -> None:
    """Wait until nothing is to be said."""
    said: list[str] = []

    def green() -> bool:
        said[:] = [report(place).verdict]
        return said == ["all caught up"]

    try:
        until(green, what="everything to be green")
    except AssertionError as late:
        raise AssertionError(f"{late} ({said[0]})") from late


def until_red(place: Workplace, words: str) -> LagReport:
    """Wait for a report with these words in a finding that is not OK, and return it."""

    def told() -> LagReport | None:
        seen = report(place)
        hits = [f for f in seen.findings if words in f.sentence and f.severity.exit_code]
        return seen if hits else None

    found = until(told, what=f"{words!r} to be said")
    assert found is not None
    return found


def report(place: Workplace) -> LagReport:
    """What `lag` sees now."""
    return collect(place.settings)


def check(place: Workplace) -> tuple[int, str]:
    """Exit code and output of `vectrue lag --check`."""
    done = place.vectrue("lag", "--check", check=False)
    return done.returncode, done.stdout


def status(place: Workplace) -> tuple[int, Any]:
    """Exit code and report of `vectrue status`."""
    done = place.vectrue("status", "-o", "json", check=False)
    return done.returncode, json.loads(done.stdout)


def diagnosis(place: Workplace, about: str) -> CheckResult:
    """What `doctor` says about the canary, or another check."""
    found = [f for f in doctor.examine(place.settings, SystemClock()) if f.check == about]
    assert found, f"doctor says nothing about {about}"
    return found[0]
