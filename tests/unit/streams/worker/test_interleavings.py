"""Two workers and an application on the same row, in every order of their steps (I1,
I3, I4, I5), on the twins.

A worker's steps are its read and its write, the two that touch what is shared: what it
does between (the embedding) and after (the acknowledgement) touches nothing, so orders
that differ in that alone are the same. A transaction of the application has two steps:
its event is delivered (the row is locked, nobody sees the new text yet), and it is
visible. Checked after every step, and again when everything that was deferred has been
looked at.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any
from uuid import uuid4

import numpy as np
import pytest

from connectors.ports import Store
from connectors.twins.memory import (
    MemoryClock,
    MemoryOutbox,
    MemoryRow,
    MemoryStore,
    TwinEmbedder,
    sha256,
)
from schemas.messages.chunk import Chunk
from schemas.messages.record import Record
from schemas.rows.table import Key, TableName
from schemas.rows.target import KeyColumn, Target
from schemas.settings.reading import load
from streams.common.embedders import Embedders
from streams.common.retry import RetryPolicy
from streams.worker.live import Sync
from streams.worker.replay import Chunks
from streams.worker.settle import RowSettler
from tests.support.interleaving import Actor, Paused, Script, orders

SETTINGS = load(live={"early_wait_ms": 0})
EMBEDDER = TwinEmbedder(dimensions=4)
EMBEDDERS = Embedders.single(EMBEDDER)
NAME = TableName("public", "questions")
TARGET = Target(NAME, "embedding", "question", (KeyColumn("id", "bigint"),), EMBEDDER.model_id, 4)
ONE: Key = ("1",)
TWO: Key = ("2",)
TEXTS = ("A", "B")
VECTORS = {sha256(text): EMBEDDER.encode_documents([text])[0] for text in TEXTS}

Rows = dict[Key, MemoryRow]
Change = Callable[[Rows], None]


def edit(text: str | None) -> Change:
    def change(rows: Rows) -> None:
        rows[ONE] = replace(rows.get(ONE, MemoryRow(None)), text=text)

    return change


def delete(rows: Rows) -> None:
    del rows[ONE]


def move(rows: Rows) -> None:
    rows[TWO] = rows.pop(ONE)


# What the application does to row 1 (text A, no vector yet), each a transaction; the
# keys of the events it brings.
HISTORIES: dict[str, list[tuple[Change, list[tuple[str, str]]]]] = {
    "an edit": [(edit("B"), [("u", "1")])],
    "there and back": [(edit("B"), [("u", "1")]), (edit("A"), [("u", "1")])],
    "blank": [(edit(" "), [("u", "1")])],
    "blank and text again": [(edit(None), [("u", "1")]), (edit("B"), [("u", "1")])],
    "a delete": [(delete, [("d", "1")])],
    "a delete and a new row": [(delete, [("d", "1")]), (edit("B"), [("c", "1")])],
    "another primary key": [(move, [("d", "1"), ("c", "2")])],
    "another text and another primary key": [
        (edit("B"), [("u", "1")]),
        (move, [("d", "1"), ("c", "2")]),
    ],
}

# Two transactions of the application make four times the orders of one: a row without a
# vector then adds only repeats of what one transaction shows, and the replay lane's
# test begins with such a row in every history.
STARTS = [
    pytest.param(history, vector, id=f"{history}, {'current' if vector else 'new'} row")
    for history, transactions in HISTORIES.items()
    for vector in (False, True)
    if vector or len(transactions) == 1
]


class PausingStore:
    """The shared store as one worker sees it: it stops before each read and write."""

    def __init__(self, world: "World") -> None:
        self._store = world.store
        self.actor: Paused | None = None
        self.arrived = False
        """Whether the worker has just been given its turn, at the start of a batch."""

    def read(self, *arguments: Any) -> Any:
        self._pause()
        return self._store.read(*arguments)

    def write(self, *arguments: Any) -> Any:
        self._pause()
        return self._store.write(*arguments)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def _pause(self) -> None:
        if self.actor is not None and not self.arrived:
            self.actor.pause()
        self.arrived = False


class World:
    """One run: the row, the topic, and who works on them."""

    def __init__(self, history: str, *, vector: bool) -> None:
        self.store = MemoryStore(TARGET)
        self.outbox = MemoryOutbox()
        self.clock = MemoryClock()
        self.retry = RetryPolicy(self.clock, seconds=1, lane="live")
        self.store.rows[ONE] = MemoryRow("A")
        if vector:
            self.store.rows[ONE] = MemoryRow("A", VECTORS[sha256("A")], sha256("A"), TARGET.model)
        self.topic = [self._event("c", "1", 1)]
        self.application = Script(
            [step for one in HISTORIES[history] for step in self._transaction(*one)]
        )
        self.events = 1 + sum(len(events) for _, events in HISTORIES[history])

    def _event(self, op: str, key: str, xid: int) -> Record:
        source = {"schema": "public", "table": "questions", "txId": xid}
        row = {"before" if op == "d" else "after": {"id": int(key)}}
        value = json.dumps({"op": op, "source": source, **row}).encode()
        return Record("t", 0, xid, json.dumps({"id": int(key)}).encode(), value)

    def _transaction(
        self, change: Change, events: list[tuple[str, str]]
    ) -> Iterator[Callable[[], None]]:
        def deliver() -> None:
            xid = self.store.next_xid
            self.store.next_xid += 1
            self.store.in_hand.add(xid)
            self.store.locked.update([ONE, TWO])
            self.topic += [self._event(op, key, xid) for op, key in events]

        def show() -> None:
            change(self.store.rows)
            self.store.in_hand.clear()
            self.store.locked.clear()

        yield deliver
        yield show

    def sync(self, store: Store) -> Sync:
        settler = RowSettler(store, EMBEDDERS, self.clock, self.retry, lane="live")
        return Sync(
            [TARGET],
            store,
            settler,
            self.outbox,
            clock=self.clock,
            retry=self.retry,
            settings=SETTINGS.live,
            origin="vectrue",
        )

    def live(self, *batches: slice) -> Paused:
        """A live worker that handles these events, each batch when its last event is in
        the topic.
        """
        store = PausingStore(self)
        sync = self.sync(store)

        def work(actor: Paused) -> None:
            store.actor = actor
            for batch in batches:
                actor.pause(lambda last=batch.stop: len(self.topic) >= last)  # type: ignore[misc] # bound per batch
                store.arrived = True
                sync.handle(self.topic[batch])

        return Paused(work)

    def replay(self) -> Paused:
        """A replay worker with a chunk of row 1."""
        store = PausingStore(self)
        settler = RowSettler(store, EMBEDDERS, self.clock, self.retry, lane="replay")
        chunks = Chunks(
            [TARGET],
            store,
            self.store,
            settler,
            self.outbox,
            clock=self.clock,
            retry=self.retry,
            settings=SETTINGS,
        )
        chunk = Chunk(
            run=uuid4(),
            number=1,
            table=NAME,
            column="embedding",
            model=TARGET.model,
            keys=(ONE,),
        )
        self.store.enter(chunk)

        def work(actor: Paused) -> None:
            store.actor = actor
            for _ in chunks.steps(Record("t.replay", 0, 0, None, chunk.encode())):
                pass

        return Paused(work)

    def drain(self) -> None:
        """Look at deferred rows until there are none."""
        sync = self.sync(self.store)
        for _ in range(3):
            records = [
                Record("t.deferred", 0, i, None, chunk.encode())
                for i, chunk in enumerate(self.outbox.deferred)
            ]
            self.outbox.deferred = []
            self.clock.advance(60)
            sync.handle_deferred(records)
        assert not self.outbox.deferred
        assert not self.outbox.dead_letters


def check_step(before: Rows, after: Rows, *, by_worker: bool) -> None:
    """No step leaves anything untrue, and no worker's step puts old over new or takes a
    vector away.
    """
    for key, row in after.items():
        if row.vector is None:
            assert (row.hash, row.model) == (None, None)
        else:
            assert row.model == TARGET.model
            assert np.array_equal(row.vector, VECTORS[row.hash]), (
                "a vector that is not of the text beside it"
            )
        if by_worker and row is not before[key]:
            blank = not (row.text or "").strip()
            assert row.hash == (None if blank else sha256(row.text)), (
                "a write for another text than the row's"
            )


def check_end(rows: Rows) -> None:
    """Every row is current or blank."""
    for row in rows.values():
        blank = not (row.text or "").strip()
        assert (row.vector is None, row.hash) == (blank, None if blank else sha256(row.text))


def explore(history: str, workers: Callable[[World], Sequence[Actor]], *, vector: bool) -> int:
    """Try all orders; how many there are."""

    def run(choose: Callable[[Sequence[Actor]], Actor | None]) -> None:
        world = World(history, vector=vector)
        actors = [world.application, *workers(world)]
        while (actor := choose(actors)) is not None:
            before = dict(world.store.rows)
            actor.move()
            check_step(before, world.store.rows, by_worker=actor is not world.application)
        world.drain()
        check_end(world.store.rows)

    return sum(1 for _ in orders(run))


def test_every_order_is_tried_once() -> None:
    """Two, three and one steps have 6! / (2! 3! 1!) orders."""
    seen: list[str] = []

    def run(choose: Callable[[Sequence[Actor]], Actor | None]) -> None:
        done: list[str] = []
        actors = [
            Script([partial(done.append, name)] * count)
            for name, count in (("a", 2), ("b", 3), ("c", 1))
        ]
        while (actor := choose(actors)) is not None:
            actor.move()
        seen.append("".join(done))

    assert len(list(orders(run))) == len(set(seen)) == 60


@pytest.mark.parametrize(("history", "vector"), STARTS)
def test_two_live_workers_and_an_application_in_every_order(history: str, vector: bool) -> None:
    """One worker, taken for dead, still works off the first event; the other gets it
    again, then all of them.
    """

    def workers(world: World) -> Sequence[Actor]:
        return world.live(slice(0, 1)), world.live(slice(0, 1), slice(0, world.events))

    count = explore(history, workers, vector=vector)
    print(f"{history}: {count} orders")
    assert count >= 20


def test_a_live_and_a_replay_worker_and_an_application_in_every_order() -> None:
    """The replay lane reads and writes the row in between; the ledger never makes up
    for a row that is not true.
    """
    for history in HISTORIES:
        explore(
            history,
            lambda world: (world.replay(), world.live(slice(0, world.events))),
            vector=False,
        )
