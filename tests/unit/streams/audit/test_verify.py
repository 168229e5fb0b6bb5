"""What a check of all vectors may call true."""

import math

import numpy as np
import pytest

from schemas.reports.audit_report import (
    FINDINGS,
    LEAST_COSINE,
    SAMPLES,
    STATES,
    Deep,
    RowGroup,
    Truth,
    verdict,
)
from streams.audit.verify import cosine


def truth(*groups: RowGroup, deep: Deep | None = None) -> Truth:
    return Truth("public.t", "embedding", "m", groups, deep)


@pytest.mark.parametrize("state", STATES)
def test_true_states_are_those_of_convergence(state: str) -> None:
    """Current, blank, quarantined and unreadable rows are true (I2); a missing or stale
    one is not.
    """
    assert truth(RowGroup(state, (), 3)).is_true is (
        state in ("current", "blank", "quarantined", "unreadable")
    )


@pytest.mark.parametrize("finding", FINDINGS)
@pytest.mark.parametrize("state", ["current", "quarantined"])
def test_any_finding_is_untrue(state: str, finding: str) -> None:
    """A row in a true state with a finding is untrue, and a replay alone would pass it
    by.
    """
    found = truth(RowGroup("current", (), 5), RowGroup(state, (finding,), 2, (("1",), ("2",))))
    assert (found.is_true, found.untrue, found.disowned, found.count(finding)) == (False, 2, 2, 2)
    assert found.samples == {finding: [("1",), ("2",)]}


def test_a_foreign_vector_is_passed_by_in_every_state() -> None:
    """A replay may take the row for current where the check calls it stale."""
    assert truth(RowGroup("stale_text", ("foreign_vector",), 3)).disowned == 3
    assert truth(RowGroup("stale_text", ("not_unit_length",), 3)).disowned == 0


def test_a_row_with_several_findings_is_one_row() -> None:
    """Counts overlap, the number of untrue rows does not; samples are bounded."""
    keys = tuple((str(i),) for i in range(9))
    found = truth(
        RowGroup("stale_model", ("no_provenance",), 9, keys), RowGroup("stale_model", (), 9, keys)
    )
    assert (found.rows, found.untrue, found.disowned) == (18, 18, 0)
    assert (found.count("stale_model"), found.count("no_provenance")) == (18, 9)
    assert len(found.samples["stale_model"]) == SAMPLES


def test_a_low_cosine_is_untrue() -> None:
    """A vector under 0.999, or one that cannot be compared, makes a column untrue that
    is current all over.
    """
    deep = Deep()
    for position, value in enumerate((1.0, LEAST_COSINE, 0.9989, None)):
        deep.add((str(position),), value, b"")
    assert [row.key for row in deep.untrue] == [("2",), ("3",)]
    assert (deep.checked, deep.lowest_cosine) == (4, 0.9989)
    assert deep.mean_cosine == pytest.approx((1.0 + 0.999 + 0.9989) / 3)
    found = truth(RowGroup("current", (), 4), deep=deep)
    assert (found.is_true, found.untrue, found.disowned) == (False, 2, 2)
    assert "2 of 4 rows are untrue; 4 vectors were made again" in verdict([found])


def test_the_verdict_names_quarantine_without_calling_it_untrue() -> None:
    """Rows in quarantine are told of; nothing compared is said when nothing was."""
    assert verdict([truth(RowGroup("current", (), 3), RowGroup("quarantined", (), 1))]) == (
        "nothing untrue in 4 rows (1 of them in quarantine)"
    )


def test_cosine_of_what_cannot_be_compared_is_unknown() -> None:
    """Another length, zero and NaN have no cosine; the length of a vector does not
    matter.
    """
    unit = np.array([0.6, 0.8], np.float32)
    assert cosine(unit * 3, unit) == pytest.approx(1.0)
    assert cosine(-unit, unit) == pytest.approx(-1.0)
    for other in (
        np.zeros(2, np.float32),
        np.array([math.nan, 1], np.float32),
        np.ones(3, np.float32),
    ):
        assert cosine(other, unit) is None
