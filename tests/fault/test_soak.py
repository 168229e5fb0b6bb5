"""A short soak campaign: the long one is `make soak`."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.soak.load import TEXT_KINDS
from tests.support.root import ROOT

pytestmark = pytest.mark.stack


FAULTS = 60


@pytest.mark.timeout(3600)
def test_random_faults_break_no_promise(tmp_path: Path) -> None:
    """Random faults under load: every row true at each pause, nothing lost, no worker
    hangs (I1-I5, I7, I9, I10).
    """
    file = tmp_path / "report.json"
    command = [sys.executable, "-m", "tests.soak", "--faults", str(FAULTS), "--seed", "1", "--json"]
    done = subprocess.run(
        [*command, str(file)], cwd=ROOT, text=True, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(file.read_text(encoding="utf-8"))
    assert (report["ok"], report["violations"], report["unexplained_exits"]) == (True, [], [])
    assert sum(report["faults"].values()) == FAULTS
    # a third of a deck's kinds at the very least
    assert len(report["faults"]) > FAULTS / 3
    # the start and the cure follow no fault
    assert len(report["converged"]) == report["checks"] - 2 > 5
    assert report["polls"] > 0
    assert report["rows_checked"] > 1000
    assert report["text_changes"] > 0
    assert report["rows_refused"] > 0
    assert report["rows_unreadable"] > 0
    assert report["changes"].keys() >= {*TEXT_KINDS}
    assert report["dead_letters"] == report["poison_events"] > 0
    assert report["vector_writes"]["written"] > 0
    assert report["vector_writes"]["text changed by a trigger"] > 0
