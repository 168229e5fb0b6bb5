"""`vectrue demo`: the whole path on real parts, with the interview example, step by step.

It starts a stack of its own (Postgres, Kafka, Connect with Debezium) and a worker as
child processes, and runs the command line for everything that a person would type. It
stops everything at the end unless told to keep it.

Hazard: the demo empties its database at each start.
"""

import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from connectors.clock import SystemClock
from connectors.local.stack import Endpoints, LocalStack
from connectors.models import open_model
from connectors.ports import Embedder
from connectors.postgres.audit import coverage
from connectors.postgres.session import Session, connect
from connectors.postgres.setup import origins
from schemas.errors import MissingExtra, ModelUnavailable, VectrueError
from schemas.reports.search import Hit, SearchRequest
from schemas.settings.reading import Settings, child_environment, load
from schemas.settings.sections import ModelSettings
from streams.operations.interview import load as interview
from streams.search.search import Search

# Not the folder of `vectrue local up`: its database is emptied at each start.
DIRECTORY = Path(".vectrue/demo")
_READY_SECONDS = 300.0
_SYNC_SECONDS = 600.0

NEW_QUESTION = "웹어셈블리는 브라우저에서 자바스크립트와 어떻게 함께 쓰이나요?"
NEW_SEARCH = "웹어셈블리 활용"
EDITED_QUESTION = "블록체인에서 작업 증명과 지분 증명은 어떻게 다른가요?"
EDITED_SEARCH = "블록체인 합의 방식의 비교"


@dataclass(frozen=True)
class StepLine:
    """One finished step: what was done, and how many seconds it took, if that matters."""

    text: str
    seconds: float | None = None
    details: Sequence[str] = ()


Report = Callable[[StepLine], None]


def choose_model() -> ModelSettings:
    """Choose the best model whose weights are here.

    That is bge-m3 if it is in the local cache, otherwise the bundled
    multilingual-e5-small, otherwise the lexical stand-in.
    """
    for name, dimensions in (("BAAI/bge-m3", 1024), ("multilingual-e5-small", 384)):
        settings = ModelSettings(name=name, dimensions=dimensions)
        try:
            model = open_model(settings)
            # Loaded once: files that are here may be incomplete.
            model.load()
            model.unload()
        except (ModelUnavailable, MissingExtra):
            continue
        return settings
    return ModelSettings(name="lexical", dimensions=1024)


class Demo:
    """The steps, in their order."""

    def __init__(
        self, directory: Path, report: Report, show: Callable[[Sequence[str]], None]
    ) -> None:
        """Prepare.

        Args:
            directory: the demo's own folder.
            report: called with each finished step.
            show: called with each command line before it runs.
        """
        self._directory = directory
        self._report = report
        self._show = show
        self._clock = SystemClock()
        self._stack = LocalStack(directory)
        self._config = directory / "vectrue.toml"
        self._worker: subprocess.Popen[bytes] | None = None

    def run(self, *, keep: bool) -> None:
        """Run all steps.

        Args:
            keep: leave everything running at the end.

        Raises:
            VectrueError: a step failed or did not finish in time.
        """
        try:
            self._prepare()
            self._sync_all()
            self._search_paraphrases()
            self._insert_and_edit()
            self._touch_unrelated()
            self._replay()
            self._command("lag")
            self._command("status")
        finally:
            if not keep:
                self._end()
        if keep:
            use = f"left running; use it with: vectrue --config {self._config} status"
            stop = f"stop it with: vectrue local reset --yes --dir {self._directory}"
            self._report(StepLine(use, details=[stop]))

    def _prepare(self) -> None:
        with self._step("stack of real parts: Postgres + pgvector, Kafka, Connect + Debezium"):
            self._stack.reset()
            endpoints = self._stack.up(lambda _: None)
        with self._step("model"):
            model = choose_model()
            self._settings = self._configure(endpoints, model)
            self._embedder: Embedder = open_model(model)
            self._embedder.load()
        why = "" if model.name == "BAAI/bge-m3" else " (BAAI/bge-m3 is not in the local cache)"
        embedder = self._embedder
        self._report(StepLine(f"model {embedder.model_id}, {embedder.dimensions} dimensions{why}"))
        self._session = Session(endpoints.postgres_dsn, role="demo")
        self._create_tables(model.dimensions)
        self._command("init")
        with self._step("worker: live and replay roles"):
            self._start_worker()

    def _configure(self, endpoints: Endpoints, model: ModelSettings) -> Settings:
        text = f"""[model]
name = "{model.name}"
dimensions = {model.dimensions}
[postgres]
dsn = "{endpoints.postgres_dsn}"
[kafka]
bootstrap_servers = "{endpoints.bootstrap_servers}"
[connect]
url = "{endpoints.connect_url}"
[metrics]
live_port = {_free_port()}
replay_port = {_free_port()}
[[tables]]
name = "public.questions"
text = "question"
[[tables]]
name = "public.answer_bank"
text = "answer"
"""
        self._config.write_text(text, encoding="utf-8")
        # It contains the password of the demo's database.
        self._config.chmod(0o600)
        return load(self._config)

    def _create_tables(self, dimensions: int) -> None:
        schema = (Path(interview.__file__).parent / "schema.sql").read_text(encoding="utf-8")
        self._session.rows(schema.replace("vector(1024)", f"vector({dimensions})"))

    def _start_worker(self) -> None:
        log = self._directory / "logs" / "worker.log"
        with log.open("wb") as output:
            self._worker = subprocess.Popen(
                self._line("worker"),
                stdout=output,
                stderr=output,
                # Else a Ctrl-C on the terminal would reach the worker before `_end`.
                start_new_session=True,
                env=child_environment(VECTRUE_LOG__FORMAT="json"),
            )

        def ready() -> bool:
            if self._worker is not None and self._worker.poll() is not None:
                raise VectrueError(
                    f"the worker ended with exit code {self._worker.returncode}", fix=f"read {log}"
                )
            # One line of each role.
            return log.read_text(encoding="utf-8").count('"worker ready"') == 2

        self._until(ready, _READY_SECONDS, f"the workers to be ready (see {log})")

    def _sync_all(self) -> None:
        connection = connect(self._settings.postgres.dsn, role="demo")
        started = self._clock.monotonic()
        questions, answers = interview.load(connection)
        connection.close()
        self._until_current(questions + answers)
        seconds = self._clock.monotonic() - started
        rate = (questions + answers) / seconds
        done = (
            f"{questions} questions and {answers} answers inserted, all have their vector"
            f" ({rate:,.0f} texts/s)"
        )
        self._report(StepLine(done, seconds))

    def _search_paraphrases(self) -> None:
        for query in interview.read_queries()[:2]:
            started = self._clock.monotonic()
            hits = self._search(str(query["query"]))
            seconds = self._clock.monotonic() - started
            self._report(StepLine(f"search: {query['query']}", seconds, _lines(hits)))

    def _insert_and_edit(self) -> None:
        insert = (
            "INSERT INTO public.questions (question, category, difficulty) VALUES (%s, %s, 3) "
            "RETURNING id"
        )
        self._before_and_after(
            "row inserted", NEW_SEARCH, insert, (NEW_QUESTION, "프런트엔드 기초")
        )
        edit = "UPDATE public.questions SET question = %s WHERE id = 1 RETURNING id"
        self._before_and_after("row edited", EDITED_SEARCH, edit, (EDITED_QUESTION,))

    def _before_and_after(self, what: str, query: str, statement: str, parameters: Any) -> None:
        before = self._search(query)[:1]
        changed_at = self._session.rows("SELECT clock_timestamp()")[0][0]
        (key,) = self._session.rows(statement, parameters)[0]
        self._until_current(None)
        # By the database's clock alone, which both times come from.
        written = "SELECT extract(epoch FROM embedded_at - %s) FROM public.questions WHERE id = %s"
        seconds = float(self._session.rows(written, (changed_at, key))[0][0])
        after = self._search(query)[:1]
        details = [f"search: {query}", *_lines(before, "before: "), *_lines(after, "after:  ")]
        done = f"{what} (key {key}): its vector was there after {seconds * 1000:.0f} ms"
        self._report(StepLine(done, details=details))

    def _touch_unrelated(self) -> None:
        looked = self._metric("vectrue_events_total")
        encoded = self._metric("vectrue_texts_encoded_total")
        started = self._clock.monotonic()
        self._session.rows("UPDATE public.questions SET view_count = view_count + 1")
        rows = int(self._session.rows("SELECT count(*) FROM public.questions")[0][0])
        self._until(
            lambda: self._metric("vectrue_events_total") >= looked + rows,
            _SYNC_SECONDS,
            "the events of the update",
        )
        more = self._metric("vectrue_texts_encoded_total") - encoded
        seconds = self._clock.monotonic() - started
        self._report(
            StepLine(f"unrelated column of {rows} rows updated: {more:.0f} texts encoded", seconds)
        )

    def _replay(self) -> None:
        # With an origin of the workers, which capture leaves out: as after a migration
        # that lost the vectors.
        origin = origins.labels(self._settings.postgres.origin)[-1]
        with self._session.cursor() as cursor:
            cursor.execute("SELECT pg_replication_origin_session_setup(%s)", (origin,))
            for table in ("questions", "answer_bank"):
                cursor.execute(f"UPDATE public.{table} SET embedding = NULL")  # noqa: S608 - two names of ours
            cursor.execute("SELECT pg_replication_origin_session_reset()")
        self._report(
            StepLine("all vectors taken away behind capture's back, as a schema migration does")
        )
        self._command("replay", "run", "--only", "all")

    def _search(self, text: str) -> Sequence[Hit]:
        searching = Search(self._settings, self._session, self._embedder)
        return searching.find(SearchRequest(text, ("public.questions",), limit=3)).hits

    def _metric(self, name: str) -> float:
        url = f"http://127.0.0.1:{self._settings.metrics.live_port}/metrics"
        with urllib.request.urlopen(url, timeout=5) as answer:
            lines = answer.read().decode().splitlines()
        total = 0.0
        for line in lines:
            # With labels or without.
            if line.startswith((f"{name}{{", f"{name} ")):
                total += float(line.rsplit(" ", 1)[1])
        return total

    def _until_current(self, rows: int | None) -> None:
        def current() -> bool:
            columns = coverage.read(self._session, self._settings)
            enough = rows is None or sum(column.rows for column in columns) >= rows
            return enough and all(column.is_true for column in columns)

        self._until(current, _SYNC_SECONDS, "all rows to have their vector")

    def _until(self, condition: Callable[[], bool], seconds: float, what: str) -> None:
        deadline = self._clock.monotonic() + seconds
        while not condition():
            if self._clock.monotonic() > deadline:
                raise VectrueError(
                    f"timed out after {seconds:.0f} s waiting for {what}",
                    fix=f"read {self._directory}/logs",
                )
            self._clock.wait(0.05)

    def _line(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "streams.cli.main", "--config", str(self._config), *arguments]

    def _command(self, *arguments: str) -> None:
        self._show(arguments)
        code = subprocess.run(self._line(*arguments), check=False).returncode
        if code != 0:
            raise VectrueError(
                f"`vectrue {' '.join(arguments)}` exited {code}", fix="read what it printed above"
            )

    @contextmanager
    def _step(self, text: str) -> Iterator[None]:
        started = self._clock.monotonic()
        yield
        self._report(StepLine(text, self._clock.monotonic() - started))

    def _end(self) -> None:
        if self._worker is not None:
            self._worker.terminate()
            try:
                self._worker.wait(40)
            except subprocess.TimeoutExpired:
                self._worker.kill()
                self._worker.wait()
        with self._step("everything stopped"):
            self._stack.down()


def _lines(hits: Sequence[Hit], prefix: str = "") -> list[str]:
    return [f"{prefix}{hit.similarity:.3f}  {hit.text}" for hit in hits]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
