"""A batch that takes longer than the watchdog's budget, in real processes: a part at a
time (D5).

The model is the lexical one, and sleeps for each long text; so what a part takes does
not depend on the machine.
"""

from pathlib import Path

import pytest

from connectors.clock import SystemClock
from connectors.kafka.offsets import KafkaOffsets
from streams.worker import parts
from tests.conftest import MakeWorkplace
from tests.support.prefork import Process
from tests.support.waiting import until
from tests.support.workplace import CREATE_QUESTIONS, Workplace

pytestmark = pytest.mark.stack

ROWS = 26
TEXT_SECONDS = 0.4
BUDGET_SECONDS = 5.0
SLOW = f"""
import sys, time
if "worker" in sys.orig_argv:
    from connectors.models.lexical import LexicalEmbedder
    encode = LexicalEmbedder.encode_documents
    def slow(self, texts):
        time.sleep({TEXT_SECONDS} * len(texts))
        return encode(self, texts)
    LexicalEmbedder.encode_documents = slow
"""


@pytest.fixture
def place(
    make_workplace: MakeWorkplace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Workplace:
    """Rows of long texts that take more than twice the budget, all in one partition;
    workers are slow.
    """
    assert ROWS * TEXT_SECONDS > 2 * BUDGET_SECONDS
    made = make_workplace(
        kafka={"partitions": 1},
        live={"linger_ms": 500.0},
        watchdog={"batch_seconds": BUDGET_SECONDS},
    )
    made.execute(CREATE_QUESTIONS.format(dimensions=64))
    made.vectrue("init")
    made.execute(
        (
            "INSERT INTO questions (question) SELECT 'text ' || i || repeat(' x', %s) FROM "
            "generate_series(1, %s) AS i"
        ),
        (parts.CHARACTERS // 2, ROWS),
    )
    (tmp_path / "sitecustomize.py").write_text(SLOW, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return made


def embedded(place: Workplace) -> int:
    return int(place.value("SELECT count(embedding) FROM questions"))


def committed(place: Workplace) -> int:
    """The live group's offset in the topic of `questions`."""
    topic = f"{place.settings.kafka.topic_prefix}.public.questions"
    offsets = KafkaOffsets(place.settings, SystemClock())
    try:
        group = place.settings.live_group
        (partition,) = offsets.read({group: [topic]})[group].partitions
        return partition.current_offset or 0
    finally:
        offsets.close()


def within(place: Workplace, worker: Process, least: int) -> None:
    """Wait until at least so many rows are written, but not all."""

    def some() -> bool:
        assert worker.poll() is None, place.log("live")[-3000:]
        return least <= embedded(place)

    until(some, what="some rows to be written")
    assert embedded(place) < ROWS


def test_a_batch_of_twice_the_budget_is_embedded_and_acknowledged_in_parts(
    place: Workplace,
) -> None:
    """Rows become true, and offsets move, while the batch is in hand; the watchdog has
    nothing to say.
    """
    worker = place.start_worker("live")
    within(place, worker, 1)
    until(lambda: committed(place) > 0, what="the offset of a part")
    assert embedded(place) < ROWS
    place.wait_current()
    assert worker.poll() is None
    assert "over its budget" not in place.log("live")


def test_a_worker_that_ends_within_a_long_batch_loses_no_part(place: Workplace) -> None:
    """Killed, and then asked to stop, which it obeys after a part: the next one embeds
    the rest, and only that.
    """
    worker = place.start_worker("live")
    within(place, worker, 3)
    worker.kill()
    worker.wait()
    written = place.execute("SELECT id, embedded_at FROM questions WHERE embedding IS NOT NULL")
    worker = place.start_worker("live")
    within(place, worker, len(written) + 1)
    worker.terminate()
    assert worker.wait(120) == 0
    assert len(written) < embedded(place) < ROWS
    place.start_worker("live")
    place.wait_current()
    ids = [row[0] for row in written]
    assert (
        place.execute("SELECT id, embedded_at FROM questions WHERE id = ANY(%s)", (ids,)) == written
    )


def test_a_chunk_of_twice_the_budget_moves_in_parts(place: Workplace) -> None:
    """The ledger shows each part; the run ends with every row embedded once."""
    worker = place.start_worker("replay")
    run = place.start("replay", "run", log="run")

    def done() -> int:
        return int(place.value("SELECT coalesce(sum(done_keys), 0) FROM vectrue.replay_chunks"))

    until(lambda: done() > 0, what="the first part in the ledger")
    assert done() < ROWS
    assert run.wait(120) == 0, place.log("run")
    assert (worker.poll(), done(), embedded(place)) == (None, ROWS, ROWS)
    assert place.value("SELECT sum(embedded) FROM vectrue.replay_chunks") == ROWS
