"""Two clients of a table that is on its way to another model: one searches, one edits.
Each notes all that it sees.

The searcher looks for the text of rows with an even key, which no one edits, so that it
knows the right answer; the editor changes rows with an odd key. Nothing is judged here
(`tests/bench/judge.py` does that), so that judging slows no client down.

Hazard: both are threads of this process, so a pause of its interpreter counts as a
pause of the database.
"""

import random
import threading
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass, field

import psycopg2

from connectors.postgres.session import Session
from schemas.errors import VectrueError
from schemas.reports.search import Hit, SearchRequest
from schemas.settings.reading import Settings
from streams.search.search import Search
from tests.bench.interview import TABLES, Table, Texts

PER_SECOND = 20.0
LIMIT = 5
Row = tuple[str, int]
"""Table and key."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One search. Times in seconds since the epoch."""

    step: str
    began: float
    ended: float
    table: str
    text: str
    hits: list[Hit] = field(default_factory=list)
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Edited:
    """One edit. Times in seconds since the epoch."""

    step: str
    began: float
    ended: float
    row: Row
    text: str
    error: str | None = None


class Step:
    """What is being done to the tables now; the clients note it beside what they see."""

    def __init__(self) -> None:
        self.name = "before"


class _Client(threading.Thread, ABC):
    """Something done so many times a second, until it is stopped. Late is late: nothing
    is made up for.
    """

    def __init__(self, settings: Settings, step: Step) -> None:
        super().__init__(daemon=True)
        self._settings = settings
        self._step = step
        self._over = threading.Event()
        self._running = threading.Event()
        self._idle = threading.Event()
        self._running.set()
        self.failure: BaseException | None = None

    def run(self) -> None:
        try:
            self.prepare()
            due = time.monotonic()
            while not self._over.is_set():
                if not self._running.is_set():
                    self._idle.set()
                    self._running.wait(0.1)
                    continue
                self.once()
                due = max(due + 1 / PER_SECOND, time.monotonic())
                # the pace of the load
                self._over.wait(max(0.0, due - time.monotonic()))
        except BaseException as error:
            self.failure = error
            raise

    @abstractmethod
    def prepare(self) -> None:
        """Connect."""

    @abstractmethod
    def once(self) -> None:
        """Do it once, and note what came of it."""

    def pause(self) -> None:
        """Return when nothing is under way any more."""
        self._idle.clear()
        self._running.clear()
        if not self._idle.wait(60):
            raise AssertionError(f"{type(self).__name__} did not come to rest ({self.failure})")

    def go_on(self) -> None:
        """After a pause."""
        self._running.set()

    def stop(self) -> None:
        """End it; its own failure is the caller's.

        Raises:
            AssertionError: it had ended before.
        """
        self._over.set()
        self.join(60)
        if self.failure is not None or self.is_alive():
            raise AssertionError(f"{type(self).__name__} failed: {self.failure}")


class Searcher(_Client):
    """Looks for a row's own text."""

    def __init__(self, settings: Settings, step: Step, rows: int) -> None:
        super().__init__(settings, step)
        self._rows = rows
        self._draw = random.Random(2)
        self.asked: list[Asked] = []

    def prepare(self) -> None:
        session = Session(self._settings.postgres.dsn, role="bench reader")
        self._search = Search(self._settings, session)
        self._texts = {table.name: _even(session, table) for table in TABLES}
        self._search.find(SearchRequest("the models are opened before the clock runs", limit=1))

    def once(self) -> None:
        table = self._draw.choice(TABLES)
        text = self._draw.choice(self._texts[table.name])
        step, began = self._step.name, time.time()
        try:
            found = self._search.find(
                SearchRequest(text, tables=(f"public.{table.name}",), limit=LIMIT)
            )
            self.asked.append(Asked(step, began, time.time(), table.name, text, list(found.hits)))
        except VectrueError as error:
            self.asked.append(Asked(step, began, time.time(), table.name, text, error=str(error)))


class Editor(_Client):
    """Gives rows another text, each in a transaction of its own."""

    def __init__(self, settings: Settings, step: Step, rows: int) -> None:
        super().__init__(settings, step)
        self._rows = rows
        self._draw = random.Random(3)
        self._texts = {table.name: Texts(table, seed=2) for table in TABLES}
        self.edits: list[Edited] = []

    def prepare(self) -> None:
        self._connection = psycopg2.connect(self._settings.postgres.dsn)
        self._connection.autocommit = True

    def once(self) -> None:
        table = self._draw.choice(TABLES)
        key = self._draw.randrange(1, self._rows + 1, 2)
        text = self._texts[table.name].next()
        error, step, began = None, self._step.name, time.time()
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(
                    f"UPDATE {table.name} SET {table.text} = %s WHERE id = %s", (text, key)
                )
        except psycopg2.Error as refused:
            error = str(refused)
        self.edits.append(Edited(step, began, time.time(), (table.name, key), text, error))

    def last_texts(self) -> dict[Row, str]:
        """The text that each edited row must have now."""
        return {edit.row: edit.text for edit in self.edits if edit.error is None}


def _even(session: Session, table: Table) -> list[str]:
    lines = session.rows(
        f"SELECT {table.text} FROM {table.name} WHERE id %% 2 = 0 ORDER BY id LIMIT %s", (20_000,)
    )
    return [text for (text,) in lines]
