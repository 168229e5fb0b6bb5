"""`vectrue demo`, as a newcomer types it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

pytestmark = pytest.mark.stack


@pytest.mark.timeout(2400)
def test_the_demo_tells_its_story_and_leaves_nothing_running(tmp_path: Path) -> None:
    """It exits 0, every step is there with its figures, and no process is left."""
    vectrue = str(Path(sys.executable).with_name("vectrue"))
    done = subprocess.run(
        [vectrue, "demo", "--dir", str(tmp_path / "demo")],
        cwd=tmp_path,
        env={**os.environ, "NO_COLOR": "1"},
        text=True,
        capture_output=True,
        timeout=2200,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for words in (
        "222 questions and 237 answers inserted, all have their vector",
        "row inserted",
        "row edited",
        "223 rows updated: 0 texts encoded",
        "460 of 460 rows are current or blank",
        "all caught up",
        "everything stopped",
    ):
        assert words in done.stdout
    assert re.search(r"after:  0\.\d+  웹어셈블리", done.stdout)
    assert re.search(r"after:  0\.\d+  블록체인", done.stdout)
    left = [
        p.info["cmdline"]
        for p in psutil.process_iter(["cmdline"])
        if str(tmp_path) in " ".join(p.info["cmdline"] or [])
    ]
    assert left == []
