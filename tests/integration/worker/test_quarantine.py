"""Texts that the model cannot take, on a real database."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from connectors.models.bge_m3 import SentenceTransformerEmbedder
from connectors.ports import Embedder
from connectors.postgres.rows.store import PostgresStore
from connectors.postgres.session import Session
from connectors.twins.memory import MemoryClock, MemoryOutbox, TwinEmbedder
from schemas.errors import TransientError
from schemas.messages.record import Record
from schemas.rows.document import Vector
from schemas.settings.sections import ModelSettings
from streams.common import targets
from streams.common.embedders import Embedders
from streams.common.retry import RetryPolicy
from streams.worker.live import Sync
from streams.worker.settle import RowSettler
from tests.support.models import build_xlm_roberta
from tests.support.workplace import Workplace

pytestmark = pytest.mark.stack


class Picky(TwinEmbedder):
    """Refuses every text that says poison; runs out of memory above a batch size where
    one is given.
    """

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

    def __init__(self, place: Workplace, embedder: Embedder) -> None:
        session = Session(place.settings.postgres.dsn, role="test")
        self.store = PostgresStore(place.settings.postgres, role="test")
        clock = MemoryClock()
        retry = RetryPolicy(clock, seconds=1, lane="live")
        found = targets.resolve(place.settings, session)
        session.close()
        models = Embedders({target.model: embedder for target in found})
        settler = RowSettler(self.store, models, clock, retry, lane="live")
        self.sync = Sync(
            found,
            self.store,
            settler,
            MemoryOutbox(),
            clock=clock,
            retry=retry,
            settings=place.settings.live,
            origin="vectrue",
        )

    def look_at(self, count: int) -> None:
        source = b'{"op":"u","source":{"schema":"public","table":"questions"},"after":{"id":%d}}'
        self.sync.handle(
            [Record("t", 0, i, b'{"id":%d}' % i, source % i) for i in range(1, count + 1)]
        )


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
    """63 vectors written, 1 row in quarantine with hash, model, reason and attempts;
    nothing more is asked of it.
    """
    embedder = Picky()
    lanes.append(Lane(filled, embedder))
    lanes[0].look_at(64)
    assert (filled.coverage()["current"], filled.coverage()["quarantined"]) == (63, 1)
    (line,) = filled.execute(
        "SELECT key, hash = sha256('poison'), reason, attempts FROM vectrue.quarantine"
    )
    assert line == (["23"], True, "the model raised MemoryError", 2)
    print(f"1 poison text among 64: {embedder.asked} model calls")
    # the last one because memory may have been short for all
    assert embedder.asked == 1 + 13 + 1
    lanes[0].look_at(64)
    assert embedder.asked == 1 + 13 + 1
    filled.execute("UPDATE questions SET question = 'good now' WHERE id = 23")
    lanes[0].look_at(23)
    assert filled.coverage()["current"] == 64
    assert filled.value("SELECT count(*) FROM vectrue.quarantine") == 0


def test_a_model_that_takes_only_small_batches(filled: Workplace, lanes: list[Lane]) -> None:
    """Memory that is too small for a batch costs halves, not texts: 63 vectors, and
    only the poison in quarantine.
    """
    embedder = Picky(largest=16)
    lanes.append(Lane(filled, embedder))
    lanes[0].look_at(64)
    assert (filled.coverage()["current"], filled.coverage()["quarantined"]) == (63, 1)
    assert filled.value("SELECT count(*) FROM questions WHERE embedding IS NULL") == 1


class SmallDevice:
    """A real network on a device with room for so many tokens at a time."""

    def __init__(self, network: Any, room: int) -> None:
        self.network, self.room = network, room
        self.device = network.device
        self.calls = 0

    def encode_document(self, texts: list[str], *, batch_size: int, **options: bool) -> Any:
        import torch

        self.calls += 1
        longest = max(len(text) for text in texts)
        if min(batch_size, len(texts)) * longest > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return self.network.encode_document(texts, batch_size=batch_size, **options)


def test_a_text_too_large_for_the_device(
    ready: Workplace, lanes: list[Lane], tmp_path: Path
) -> None:
    """Out of memory halves the batch; the one text that never fits goes to quarantine,
    and the partition goes on (I10).

    Alone in its batch it is told from a full device by a short probe; the next batch is
    as large as before.
    """
    folder = build_xlm_roberta(tmp_path / "model", hidden=64)
    embedder = SentenceTransformerEmbedder(
        ModelSettings(name=str(folder), dimensions=64), MemoryClock()
    )
    device = SmallDevice(embedder._loaded(), room=200)
    embedder._network = device  # type: ignore[assignment]  # the same network, on a smaller device
    ready.execute(
        "INSERT INTO questions (question) SELECT CASE i WHEN 23 THEN repeat('x', 300) ELSE "
        "'text ' || i END"
        " FROM generate_series(1, 64) AS i"
    )
    lanes.append(Lane(ready, embedder))
    lanes[0].look_at(64)
    print(f"1 text too large for the device among 64: {device.calls} calls of the network")
    assert (ready.coverage()["current"], ready.coverage()["quarantined"]) == (63, 1)
    ((key, reason),) = ready.execute("SELECT key, reason FROM vectrue.quarantine")
    assert key == ["23"]
    assert "no room for one text" in reason
    ready.execute("UPDATE questions SET question = repeat('y', 400) WHERE id = 1")
    lanes[0].look_at(1)
    assert (ready.coverage()["current"], ready.coverage()["quarantined"]) == (62, 2)
    device.calls = 0
    ready.execute("UPDATE questions SET question = 'again ' || id WHERE id BETWEEN 2 AND 17")
    lanes[0].look_at(17)
    assert device.calls == 1
    device.room = 0
    ready.execute("UPDATE questions SET question = 'a small edit' WHERE id = 2")
    with pytest.raises(TransientError, match="even for a short text"):
        lanes[0].look_at(2)
    assert ready.coverage()["quarantined"] == 2
