"""No sequence of verbs, kills and edits of the settings reaches a state without a way
out, on real parts.

`WALKS` and `SEED` in the environment walk more, or elsewhere; `python -m
tests.support.migrate_walk` prints more of it.
"""

import os

import pytest

from tests.support.migrate_walk.__main__ import walks
from tests.support.workplace import Endpoints

pytestmark = pytest.mark.stack


def test_every_walk_has_a_way_out_and_harms_nothing(
    stack: Endpoints, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each command does its own step in each column of its scope, whole or not at all;
    what stands is true meanwhile.

    And from wherever it ends, what `migrate status` and the refusals say leads to the
    end of all migrations, to an `init` and a `status` that have nothing against it, and
    to vectors that are true.
    """
    seed, count = int(os.environ.get("SEED", "13")), int(os.environ.get("WALKS", "8"))
    report = walks(stack, seed, range(count), stop=True)
    with capsys.disabled():
        print(f"\nseed {seed}: {report}")
    assert not report.failures, report.failures[0]
    assert report.walks == count
