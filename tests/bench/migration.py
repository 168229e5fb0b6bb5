"""The guide's case end to end: both tables from 768 to 1024 numbers and back, while one
client searches and one edits.

The model is the lexical stand-in, at 768 and at 1024 numbers: the path is measured.
What the clients see is noted while it runs and judged afterwards
(`tests/bench/judge.py`).

Hazard: the commands are processes of their own, so each step's time has the second or
two of their start in it.
"""

import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from connectors.models import open_model
from connectors.ports import Embedder
from tests.bench import interview, judge
from tests.bench.clients import Editor, Row, Searcher, Step
from tests.bench.migration_report import Report
from tests.support import workplace as workplaces
from tests.support.prefork import Process
from tests.support.waiting import let_pass, until
from tests.support.workplace import Endpoints, Workplace

OLD, NEW = 768, 1024
TO = ("--model", "lexical", "--dimensions", str(NEW))
MEMORY = "1GB"
"""maintenance_work_mem of the index builds: the graph of 50,000 vectors of 1024 numbers
is built in memory.
"""
_QUIET_SECONDS = 10.0
_LONG = 3600.0
"""Seconds after which a step is given up."""
Say = Callable[[str], None]


def run(endpoints: Endpoints, rows: int, say: Say) -> Report:
    """Everything, on tables of so many rows each; returns the figures."""
    model = {"name": "lexical", "dimensions": OLD}
    with TemporaryDirectory() as directory:
        # The keeper would send what it takes for missing through replay by itself, at a
        # time of its own.
        place_of = workplaces.workplace(
            endpoints,
            Path(directory),
            interview.SETTINGS,
            model=model,
            keeper={"reconcile_seconds": 0},
            replay=interview.NICE,
        )
        with place_of as place:
            return Story(place, rows, say).tell()


class Story:
    """One migration there and back."""

    def __init__(self, place: Workplace, rows: int, say: Say) -> None:
        self._place = place
        self._say = say
        self._step = Step()
        self._old = open_model(place.settings.model)
        self._new = open_model(place.settings.model.model_copy(update={"dimensions": NEW}))
        self._report = Report(rows)
        self._searcher = Searcher(place.settings, self._step, rows)
        self._editor = Editor(place.settings, self._step, rows)
        self._worker: Process

    def tell(self) -> Report:
        """Fill, move, go back, heal."""
        with self._doing("fill"):
            self._fill()
        self._report.recall_before = self._recall(self._old)
        self._searcher.start()
        self._editor.start()
        self._watch("before")
        with self._doing("start"):
            self._vectrue("migrate", "start", *TO)
        with self._doing("replay"):
            self._replay()
        with self._doing("index"):
            self._vectrue("migrate", "index", "--memory", MEMORY)
        with self._doing("swap"):
            self._vectrue("migrate", "swap")
        self._report.swapped = self._moved_at("swapped_at")
        self._watch("swapped")
        self._settle("edits_lost_swapped", {"embedding": self._new, "embedding_old": self._old})
        self._report.recall_after = self._recall(self._new)
        self._editor.go_on()
        self._stale()
        self._heal()
        with self._doing("live again"):
            self._worker = self._workers()
            self._editor.go_on()
            let_pass(_QUIET_SECONDS)  # nothing is waited for: so long the clients go on
            self._settle("edits_lost", {"embedding": self._old, "embedding_v2": self._new})
        self._searcher.stop()
        self._editor.stop()
        self._say("judging what the clients saw")
        self._report.judge(
            self._searcher.asked, self._editor.edits, {str(OLD): self._old, str(NEW): self._new}
        )
        return self._report

    def _fill(self) -> None:
        interview.create(self._place, self._report.rows)
        self._vectrue("init")
        self._worker = self._workers()
        self._vectrue("replay", "run", "--yes")
        interview.build_indexes(self._place, MEMORY)
        for table in interview.TABLES:
            self._place.execute(f"VACUUM ANALYZE {table.name}")

    def _replay(self) -> None:
        """Exit 1 is an answer as well: with edits all the time, some row is on its way
        when the run has ended.
        """
        done = self._place.vectrue("replay", "run", "--yes", check=False, timeout=_LONG)
        if done.returncode not in (0, 1):
            raise AssertionError(f"replay run exited {done.returncode}:\n{done.stderr}")
        lines = [line for line in done.stdout.splitlines() if line.startswith("run ")]
        self._say(lines[-1] if lines else done.stdout.strip())

    def _stale(self) -> None:
        """Edits that no worker follows: they are stopped, then the way back is
        taken.
        """
        with self._doing("workers stopped"):
            self._worker.send_signal(signal.SIGTERM)
            self._worker.wait(60)
            # What was edited before this line may have been followed or not; the count
            # goes by what is true.
            let_pass(_QUIET_SECONDS)  # nothing is waited for: so long edits pile up
        with self._doing("rollback"):
            self._vectrue("migrate", "rollback")
        self._report.rolled_back = time.time()
        self._watch("rolled back")
        self._editor.pause()
        self._report.stale_counted = self._lacking()
        self._report.stale_true = len(self._untrue("embedding", self._old))

    def _heal(self) -> None:
        with self._doing("heal by replay"):
            # The replay lane alone: what heals is not the live lane, to which the same
            # edits are on their way as well.
            healer = self._place.start_worker("replay", log="healer")
            self._replay()
            healer.send_signal(signal.SIGTERM)
            healer.wait(60)
        self._report.stale_left = self._lacking()
        self._report.untrue_left = len(self._untrue("embedding", self._old))

    def _lacking(self) -> int:
        """Rows of the served columns that `vectrue status` calls missing or stale."""
        shown = json.loads(self._vectrue("status", "-o", "json").stdout)
        served = [line for line in shown["tables"] if line["column"] == "embedding"]
        return sum(line["missing"] + line["stale_text"] + line["stale_model"] for line in served)

    def _settle(self, figure: str, columns: dict[str, Embedder]) -> None:
        """No edits any more: count those that have not arrived in every column within a
        minute.
        """
        self._editor.pause()
        left: set[Row] = set()

        def arrived() -> bool:
            left.clear()
            for column, model in columns.items():
                left.update(self._untrue(column, model))
            return not left

        try:
            until(arrived, pause=1.0, what="all edits to arrive")
        except AssertionError:
            self._say(f"not arrived: {sorted(left)[:5]}")
        setattr(self._report, figure, len(left))

    def _untrue(self, column: str, model: Embedder) -> set[Row]:
        return judge.untrue(self._place, self._editor.last_texts(), column, model)

    def _recall(self, model: Embedder) -> dict[str, float]:
        return {
            table.name: judge.recall(self._place, table.name, table.text, model)
            for table in interview.TABLES
        }

    def _moved_at(self, column: str) -> float:
        return float(
            self._place.value(
                f"SELECT extract(epoch FROM max({column})) FROM vectrue.column_migrations"
            )
        )

    def _workers(self) -> Process:
        before = self._ready()
        process = self._place.start("worker")
        until(lambda: self._ready() >= before + 2, what="both workers to be ready")
        return process

    def _ready(self) -> int:
        there = (self._place.directory / "worker.log").exists()
        return self._place.log().count("worker ready") if there else 0

    def _vectrue(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return self._place.vectrue(*arguments, timeout=_LONG)

    def _watch(self, name: str) -> None:
        with self._doing(name):
            # nothing is waited for: so long the clients are watched
            let_pass(_QUIET_SECONDS)

    @contextmanager
    def _doing(self, name: str) -> Iterator[None]:
        self._step.name = name
        began = time.time()
        try:
            yield
        finally:
            self._report.steps[name] = (began, time.time())
            self._say(f"{name}: {time.time() - began:.1f} s")
