"""Two workers and an application on one row of a real database, in every order of their
steps (I1, I4, I5).

A worker is stopped by advisory locks at four gates: before its read, before its write,
within its UPDATE (a trigger: it holds the row's lock then) and after it, before its
COMMIT. The application's transaction may have to wait for a worker's row lock; it then
ends when that worker has committed. The second worker has the event of the new text, so
it begins after the application's commit.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import psycopg2
import pytest

from connectors.postgres.rows.store import PostgresStore
from connectors.postgres.session import Session
from connectors.twins.memory import MemoryClock, MemoryOutbox, TwinEmbedder
from schemas.messages.record import Record
from streams.common import targets
from streams.common.embedders import Embedders
from streams.common.retry import RetryPolicy
from streams.worker.live import Sync
from streams.worker.settle import RowSettler
from tests.support.interleaving import Actor, orders
from tests.support.waiting import until
from tests.support.workplace import Workplace

pytestmark = pytest.mark.stack

GATES = """
    CREATE FUNCTION gate() RETURNS trigger LANGUAGE plpgsql SET lock_timeout = 0 AS $$
    DECLARE
        worker text := substring(current_setting('application_name') FROM 'vectrue worker(.)');
    BEGIN
        IF worker IS NOT NULL THEN
            PERFORM pg_advisory_xact_lock_shared(worker::int, TG_ARGV[0]::int);
        END IF;
        RETURN NEW;
    END $$;
    CREATE TRIGGER within_update BEFORE UPDATE OF embedding ON questions
        FOR EACH ROW EXECUTE FUNCTION gate(3);
    CREATE CONSTRAINT TRIGGER before_commit AFTER UPDATE OF embedding ON questions
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION gate(4);
"""
SOURCE = b'{"op":"u","source":{"schema":"public","table":"questions"},"after":{}}'
CHANGES = {
    "an edit": "UPDATE questions SET question = 'B' WHERE id = 1",
    "blank": "UPDATE questions SET question = ' ' WHERE id = 1",
    "a delete": "DELETE FROM questions WHERE id = 1",
    "another primary key": "UPDATE questions SET id = 2, question = 'B' WHERE id = 1",
}
EMBEDDER = TwinEmbedder(dimensions=64)
SHOWN: dict[str, str] = {}
"""The vectors of the texts, as Postgres prints them."""

Row = tuple[str, str | None, bool | None, bool | None]
"""Text, vector, whether its hash is that of A, of B."""


class GatedStore(PostgresStore):
    """The real store, which stops at a gate before each read and write."""

    def __init__(self, place: Workplace, number: int) -> None:
        super().__init__(place.settings.postgres, role=f"worker{number}")
        self.number = number
        self.gates = Session(place.settings.postgres.dsn, role=f"gates of worker{number}")

    def read(self, *arguments: Any) -> Any:
        self.gates.rows("SELECT pg_advisory_xact_lock_shared(%s, 1)", (self.number,))
        return super().read(*arguments)

    def write(self, *arguments: Any) -> Any:
        self.gates.rows("SELECT pg_advisory_xact_lock_shared(%s, 2)", (self.number,))
        return super().write(*arguments)


class Background:
    """An actor of which one piece of work runs in a thread."""

    def __init__(self, work: Callable[[], None]) -> None:
        self.failure: BaseException | None = None
        self._work = work
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def ended(self) -> bool:
        return self._thread.ident is not None and not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._work()
        except BaseException as error:  # noqa: BLE001 - not swallowed: raised at the end of the run
            self.failure = error


class Worker(Background):
    """Handles events of these rows in one batch, gate by gate."""

    def __init__(
        self, stage: "Stage", number: int, keys: Sequence[int], ready: Callable[[], bool]
    ) -> None:
        events = [Record("t", 0, key, b'{"id":%d}' % key, SOURCE) for key in keys]
        super().__init__(lambda: stage.syncs[number - 1].handle(events))
        self._stage = stage
        self._number = number
        self._ready = ready
        stage.close_gates(number)
        self.start()
        self._arrive()

    def can_move(self) -> bool:
        return self._gate is not None and self._ready()

    def move(self) -> None:
        self._stage.open_gate(self._number, self._gate)
        self._arrive()

    def _arrive(self) -> None:
        """Wait until it stands at a gate, or is done."""
        found = until(
            lambda: self._stage.gate_of(self._number) or self.ended,
            what="the next gate",
            pause=0.0005,
        )
        self._gate = None if found is True else int(found)


class Application(Background):
    """Commits its change; when a worker holds the row, the commit comes when that
    worker is done.
    """

    def __init__(self, stage: "Stage", change: str) -> None:
        super().__init__(lambda: stage.commit(change))
        self._stage = stage
        self._started = False

    def can_move(self) -> bool:
        return not self._started

    def move(self) -> None:
        self._started = True
        self.start()
        self.settle()

    def settle(self) -> None:
        """Wait until it has committed, or stands behind a worker's row lock."""
        if self._started:
            until(
                lambda: self.ended or self._stage.application_waits(),
                what="the commit",
                pause=0.0005,
            )


class Stage:
    """The database and the sessions that all runs use."""

    def __init__(self, place: Workplace) -> None:
        self.place = place
        self._gates = psycopg2.connect(place.settings.postgres.dsn)
        self._application = psycopg2.connect(
            place.settings.postgres.dsn, application_name="application"
        )
        self._gates.autocommit = self._application.autocommit = True
        self._control = self._gates.cursor()
        self.stores = [GatedStore(place, number) for number in (1, 2)]
        self.outbox = MemoryOutbox()
        self.clock = MemoryClock()
        self.syncs = [self.sync(store) for store in self.stores]

    def sync(self, store: PostgresStore) -> Sync:
        retry = RetryPolicy(self.clock, seconds=1, lane="live")
        session = Session(self.place.settings.postgres.dsn, role="test")
        found = targets.resolve(self.place.settings, session)
        session.close()
        embedders = Embedders({target.model: EMBEDDER for target in found})
        settler = RowSettler(store, embedders, self.clock, retry, lane="live")
        settings = self.place.settings.live
        return Sync(
            found,
            store,
            settler,
            self.outbox,
            clock=self.clock,
            retry=retry,
            settings=settings,
            origin="vectrue",
        )

    def reset(self, *, with_vector: bool) -> None:
        """Row 1 has text A again, and A's vector or none; no one holds a gate."""
        self._control.execute("SELECT pg_advisory_unlock_all()")
        self._control.execute(
            "DELETE FROM questions; INSERT INTO questions (id, question) VALUES (1, 'A')"
        )
        if with_vector:
            self._control.execute(
                "UPDATE questions SET embedding = %s::vector, embedding_hash = sha256('A'), "
                "embedding_model = ("
                "SELECT model FROM vectrue.targets)",
                (SHOWN["A"],),
            )

    def close_gates(self, number: int) -> None:
        self._control.execute(
            "SELECT pg_advisory_lock(%s, gate) FROM generate_series(1, 4) AS gate", (number,)
        )

    def open_gate(self, number: int, gate: int | None) -> None:
        self._control.execute("SELECT pg_advisory_unlock(%s, %s)", (number, gate))

    def gate_of(self, number: int) -> int:
        """Where the worker waits; 0 when it waits nowhere."""
        self._control.execute(
            "SELECT objid::int FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND "
            "classid = %s"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
            (number,),
        )
        line = self._control.fetchone()
        return line[0] if line else 0

    def commit(self, change: str) -> None:
        with self._application.cursor() as cursor:
            cursor.execute(change)

    def application_waits(self) -> bool:
        self._control.execute(
            "SELECT cardinality(pg_blocking_pids(%s)) > 0", (self._application.info.backend_pid,)
        )
        line = self._control.fetchone()
        return bool(line and line[0])

    def rows(self) -> list[Row]:
        """All rows; a vector always has the wanted model beside it."""
        self._control.execute(
            "SELECT question, embedding::text, embedding_hash = sha256('A'), embedding_hash = "
            "sha256('B')"
            " FROM questions WHERE (embedding IS NULL) = (embedding_hash IS NULL)"
            " AND embedding_model IS NOT DISTINCT FROM CASE WHEN embedding IS NOT NULL THEN"
            " (SELECT model FROM vectrue.targets) END"
        )
        found: list[Row] = self._control.fetchall()
        self._control.execute("SELECT count(*) FROM questions")
        assert self._control.fetchone() == (len(found),), (
            "vector, hash and model are not set together"
        )
        return found

    def drain(self) -> None:
        """Look at deferred rows until there are none."""
        self._control.execute("SELECT pg_advisory_unlock_all()")
        for _ in range(2):
            records = [
                Record("t", 0, i, None, chunk.encode())
                for i, chunk in enumerate(self.outbox.deferred)
            ]
            self.outbox.deferred = []
            self.clock.advance(60)
            self.syncs[0].handle_deferred(records)
        assert (self.outbox.deferred, self.outbox.dead_letters) == ([], [])

    def close(self) -> None:
        for connection in (self._gates, self._application):
            connection.close()
        for store in self.stores:
            store.gates.close()
            store.close()


def check_step(before: list[Row], after: list[Row]) -> None:
    """A vector is of the text of the hash beside it, B's never gives way to A's, none
    goes while there is text.
    """
    for text, vector, of_a, of_b in after:
        assert vector == (SHOWN["A"] if of_a else SHOWN["B"] if of_b else None), (
            "a vector of another text than its hash's"
        )
        for _, old, _, was_of_b in before:
            assert of_b or not was_of_b or not text.strip(), (
                "an old text's vector over a newer one's"
            )
            assert vector is not None or old is None or not text.strip(), (
                "a row with text lost its vector"
            )


def check_end(rows: list[Row]) -> None:
    """The row is current for its last committed text, or blank."""
    for text, vector, *_ in rows:
        assert vector == SHOWN.get(text)


@pytest.fixture
def stage(ready: Workplace) -> Iterator[Stage]:
    """Gates in the database, and the sessions of two workers."""
    ready.with_settings(live={"early_wait_ms": 0}, postgres={"lock_timeout_seconds": 60})
    for text in ("A", "B"):
        vector = EMBEDDER.encode_documents([text])[0]
        SHOWN[text] = ready.value("SELECT %s::vector(64)::text", (str(vector.tolist()),))
    ready.session.rows(GATES)
    made = Stage(ready)
    yield made
    made.close()


def run(
    stage: Stage, change: str, vector: bool, choose: Callable[[Sequence[Actor]], Actor | None]
) -> None:
    """One order: steps are checked one by one, then deferred rows are looked at, then
    all must be true.
    """
    stage.reset(with_vector=vector)
    application = Application(stage, change)
    old = Worker(stage, 1, [1], lambda: True)
    new = Worker(stage, 2, [1, 2], lambda: application.ended)
    before = stage.rows()
    while (actor := choose([application, old, new])) is not None:
        actor.move()
        application.settle()
        after = stage.rows()
        check_step(before, after)
        before = after
    assert [actor.failure for actor in (application, old, new)] == [None] * 3
    stage.drain()
    check_end(stage.rows())


def test_two_workers_and_an_application_in_every_order(stage: Stage) -> None:
    """Whatever the order: no step writes an untruth, and the final vector is that of
    the last committed text.
    """
    for name, change in CHANGES.items():
        for vector in (False, True):
            count = sum(1 for _ in orders(partial(run, stage, change, vector)))
            print(f"{name}, {'with' if vector else 'without'} a vector before: {count} orders")
            assert count >= 3
