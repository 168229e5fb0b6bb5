"""`vectrue compare` as a person types it: the stand-in against a pretrained model on
the Korean judged queries.
"""

import functools
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from examples import interview
from tests.support.waiting import until

HERE = Path(interview.__file__).parent
COMPARE = [
    str(Path(sys.executable).with_name("vectrue")),
    "compare",
    "lexical:1024",
    "multilingual-e5-small",
    "--corpus",
    str(HERE / "questions.jsonl"),
    "--text-field",
    "question",
    "--queries",
]
QUERIES = HERE / "queries.jsonl"


def test_meaning_beats_letters_where_no_word_is_shared(tmp_path: Path) -> None:
    """Over the paraphrases, e5 finds more than the stand-in by every measure, with
    intervals that leave out 0.

    The page is whole, and the report says what was asked and what it cost. Only
    paraphrases, since each query takes e5 a while.
    """
    page, file = tmp_path / "report.html", tmp_path / "queries.jsonl"
    judged = QUERIES.read_text(encoding="utf-8").splitlines(keepends=True)
    file.write_text(
        "".join(line for line in judged if json.loads(line)["kind"] == "paraphrase"),
        encoding="utf-8",
    )
    line = [*COMPARE, str(file), "-o", "json", "--html", str(page)]
    done = subprocess.run(
        line, cwd=tmp_path, text=True, capture_output=True, timeout=280, check=False
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    lines = {(line["group"], line["measure"]): line for line in found["quality"]["exact"]}
    for measure in ("recall@10", "MRR", "nDCG@10"):
        assert lines["all", measure]["difference"]["low"] > 0, measure
    assert found["queries"] >= 40
    assert found["left_out"] == 27
    assert found["verdict"].startswith("B (multilingual-e5-small) finds more")
    assert len(found["differing"]) == 10
    for side, dimensions in (("a", 1024), ("b", 384)):
        assert found[side]["vector_bytes"] == 222 * dimensions * 4
        assert found[side]["texts_per_second"] > 0
        assert found[side]["memory_peak"] > found[side]["memory_start"]
    text = page.read_text(encoding="utf-8")
    assert text.count("<img") == 4
    assert found["differing"][0]["query"] in text.replace("&#39;", "'")


def ended(process: psutil.Process) -> bool:
    """Whether a process is over; one whose exit code was not read yet counts as over."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_ctrl_c_ends_both_models_and_leaves_nothing_behind(tmp_path: Path) -> None:
    """Interrupted while the models work: exit 130, no report, no traceback, and no
    process is left.
    """
    # A shell starts background jobs with SIGINT ignored, and children inherit that: the
    # tests may run in one.
    listening = functools.partial(signal.signal, signal.SIGINT, signal.default_int_handler)
    running = subprocess.Popen(
        [*COMPARE, str(QUERIES)],
        preexec_fn=listening,  # noqa: PLW1509 - no thread of ours runs here
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    children = until(lambda: two(running.pid), what="both models' processes")
    os.kill(running.pid, signal.SIGINT)
    shown, said = running.communicate(timeout=120)
    assert (running.returncode, shown, "Traceback" in said) == (130, "", False), said
    # One that was just started is told by the pipe's end, once it has imported what it
    # needs.
    until(lambda: all(ended(child) for child in children), what="both models' processes to end")


def two(pid: int) -> list[psutil.Process]:
    """The two children of a process, once they are there; before that none."""
    found: list[psutil.Process] = psutil.Process(pid).children()
    return found if len(found) == 2 else []


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["lexical"], 2, "name two models"),
        (["--columns", "lexical", "lexical:64"], 2, "the columns are those of the migration"),
        (["lexical", "no/such-model"], 78, "vectrue model pull no/such-model"),
    ],
)
def test_what_is_asked_wrongly_is_said(
    tmp_path: Path, arguments: list[str], code: int, said: str
) -> None:
    """A wrong request gets one sentence and the exit code, before any long work begins."""
    done = subprocess.run(
        [COMPARE[0], "compare", *arguments, "-q", str(QUERIES)],
        cwd=tmp_path,
        text=True,
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert said in " ".join(done.stderr.replace("│", " ").split())
    assert "Traceback" not in done.stderr
