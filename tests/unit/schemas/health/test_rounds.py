"""Nobody having looked for two periods is said; being busy for a while, or just
started, is not.
"""

import pytest
from prometheus_client import REGISTRY

from schemas.health.lag_report import brief, witnessed
from schemas.health.rounds import Round
from schemas.health.severity import Severity
from streams.worker.watches import canary as canaries
from tests.support.lag import canary, witness

HOUR = 3600.0


@pytest.mark.parametrize(
    ("one", "is_late"),
    [
        (Round("keeper", 44.0, 5.0), False),
        (Round("keeper", 46.0, 5.0), True),
        (Round("keeper", 119.0, 60.0), False),
        (Round("keeper", 121.0, 60.0), True),
        (Round("keeper", 600.0, 5.0, doing="looking at all rows of public.docs"), False),
        (Round("keeper", 646.0, 5.0, doing="looking at all rows of public.docs"), True),
        (Round("watch", 900.0, 15.0, 900.0), False),
        (Round("watch", 946.0, 15.0, 900.0), True),
        (Round("rows", 2 * HOUR + 59.0, HOUR, 60.0), False),
        (Round("rows", 2 * HOUR + 61.0, HOUR, 60.0), True),
    ],
)
def test_two_periods_and_what_may_come_in_between(one: Round, is_late: bool) -> None:
    """Twice the period, a pause after an error, and the time that a table or a batch
    may take.
    """
    assert one.is_late is is_late
    assert one.to_json()["late"] is is_late


def test_what_is_neglected_is_a_warning_with_what_to_do() -> None:
    """In the verdict, and without any name in what anyone may read; what was last begun
    is named.
    """
    busy = Round("keeper", 700.0, 5.0, doing="sending rows of public.docs")
    seen = witness(rounds=(Round("rows", 9 * HOUR, HOUR), busy, Round("watch", 1.0, 15.0)))
    found = witnessed(seen)
    assert [(one.severity, one.hop) for one in found] == [
        (Severity.WARNING, "replay"),
        (Severity.WARNING, "replay"),
    ]
    assert found[0].sentence == (
        "no worker has looked at all rows for those that stayed stale for 9h00m: vectrue worker "
        "--role replay"
    )
    assert (
        "for 11m40s (the last was sending rows of public.docs): see the workers' logs"
        in found[1].sentence
    )
    assert brief(seen) == "no one looks after the rows: vectrue lag"
    assert witnessed(witness(rounds=(Round("watch", 1.0, 15.0),))) == ()


def test_without_a_live_worker_that_is_what_is_said() -> None:
    """Nobody looks where no worker runs; one sentence is enough."""
    seen = witness(canary=canary((9, 400.0), (9, 400.0)), rounds=(Round("keeper", 400.0, 5.0),))
    assert seen.neglected == ()
    assert all("keeper" not in one.sentence for one in witnessed(seen))


def test_metrics_tell_since_when_and_whether_it_is_too_long() -> None:
    """One series for each, renewed at each beat of the canary, and none once it is not
    known.
    """
    ages = {"keeper": 46.0, "watch": 1.0, "rows": 60.0}
    canaries.note(
        witness(
            rounds=(
                Round("keeper", 46.0, 5.0),
                Round("watch", 1.0, 15.0),
                Round("rows", 60.0, HOUR),
            )
        )
    )
    assert series("vectrue_looked_age_seconds") == ages
    assert series("vectrue_neglected") == {"keeper": 1.0, "watch": 0.0, "rows": 0.0}
    canaries.forget()
    assert series("vectrue_looked_age_seconds") == series("vectrue_neglected") == {}


def series(name: str) -> dict[str, float]:
    """The figures of a metric as a scrape finds them, by what they are about."""
    found = [
        sample for metric in REGISTRY.collect() for sample in metric.samples if sample.name == name
    ]
    return {sample.labels["what"]: sample.value for sample in found}
