"""Texts that the model cannot take, on a real database."""

from collections.abc import Iterator, Sequence

import pytest

from connectors.memory import MemoryClock, MemoryOutbox, TwinEmbedder
from connectors.postgres.session import Session
from connectors.postgres.store import PostgresStore
from schemas.document import Vector
from schemas.record import Record
from streams import targets
from streams.retry import Patience
from streams.settle import Settler
from streams.sync import Sync
from tests.support.workplace import Workplace

pytestmark = pytest.mark.stack


class Picky(TwinEmbedder):
    """Refuses every text that says poison; runs out of memory above a batch size where one is given."""

    def __init__(self, largest: int | None = None) -> None:
        super().__init__(dimensions=64)
        self.largest = largest
        self.asked = 0

    def encode_documents(self, texts: Sequence[str]) -> Vector:
        self.asked += 1
        if any("poison" in text for text in texts) or (self.largest and len(texts) > self.largest):
            raise MemoryError
        return super().encode_documents(texts)


class Lane:
    """The live lane, in this process, over the real database."""

    def __init__(self, place: Workplace, embedder: Picky) -> None:
        session = Session(place.settings.postgres.dsn, role="test")
        self.store = PostgresStore(place.settings.postgres, role="test")
        clock = MemoryClock()
        patience = Patience(clock, seconds=1, lane="live")
        settler = Settler(self.store, embedder, clock, patience, lane="live")
        found = targets.resolve(place.settings, session)
        session.close()
        self.sync = Sync(found, self.store, settler, MemoryOutbox(), clock, patience, place.settings.live, "embedsync")

    def look_at(self, count: int) -> None:
        source = b'{"op":"u","source":{"schema":"public","table":"questions"},"after":{"id":%d}}'
        self.sync.handle([Record("t", 0, i, b'{"id":%d}' % i, source % i) for i in range(1, count + 1)])


@pytest.fixture
def filled(ready: Workplace) -> Workplace:
    """64 rows, of which number 23 is poison."""
    ready.execute(
        "INSERT INTO questions (question) SELECT CASE i WHEN 23 THEN 'poison' ELSE 'text ' || i END"
        " FROM generate_series(1, 64) AS i"
    )
    return ready


@pytest.fixture
def lanes() -> Iterator[list[Lane]]:
    opened: list[Lane] = []
    yield opened
    for lane in opened:
        lane.store.close()


def test_one_poison_text_among_64(filled: Workplace, lanes: list[Lane]) -> None:
    """63 vectors written, 1 row in quarantine with hash, model, reason and attempts; nothing more is asked of it."""
    embedder = Picky()
    lanes.append(Lane(filled, embedder))
    lanes[0].look_at(64)
    assert (filled.coverage()["current"], filled.coverage()["quarantined"]) == (63, 1)
    (line,) = filled.execute("SELECT key, hash = sha256('poison'), reason, attempts FROM embedsync.quarantine")
    assert line == (["23"], True, "the model raised MemoryError", 2)
    assert embedder.asked == 1 + 13
    lanes[0].look_at(64)
    assert embedder.asked == 1 + 13
    filled.execute("UPDATE questions SET question = 'good now' WHERE id = 23")
    lanes[0].look_at(23)
    assert filled.coverage()["current"] == 64
    assert filled.value("SELECT count(*) FROM embedsync.quarantine") == 0


def test_a_model_that_takes_only_small_batches(filled: Workplace, lanes: list[Lane]) -> None:
    """Memory that is too small for a batch costs halves, not texts: 63 vectors, and only the poison in quarantine."""
    embedder = Picky(largest=16)
    lanes.append(Lane(filled, embedder))
    lanes[0].look_at(64)
    assert (filled.coverage()["current"], filled.coverage()["quarantined"]) == (63, 1)
    assert filled.value("SELECT count(*) FROM questions WHERE embedding IS NULL") == 1
