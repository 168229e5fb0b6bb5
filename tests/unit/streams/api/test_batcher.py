"""Texts share passes through the model: who rides with whom, in what order, and what
harms whom. No time passes.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence

import numpy as np
import pytest

from connectors.twins.memory import MemoryClock
from connectors.twins.model import TwinEmbedder
from schemas.errors import ConfigurationError, PoisonText
from schemas.rows.document import Vector
from streams.api.batcher import Batcher

LINGER = 0.005


class Model(TwinEmbedder):
    """A twin that waits at the gate in each pass, and remembers what it was given and
    by which thread.
    """

    def __init__(self, *, is_open: bool = True) -> None:
        super().__init__(8)
        self.gate, self.inside = threading.Event(), threading.Event()
        self.passes: list[tuple[str, list[str]]] = []
        self.threads: set[int] = set()
        if is_open:
            self.gate.set()

    def encode_documents(self, texts: Sequence[str]) -> Vector:
        return self._pass("document", texts)

    def encode_queries(self, texts: Sequence[str]) -> Vector:
        return self._pass("query", texts)

    def _pass(self, kind: str, texts: Sequence[str]) -> Vector:
        self.passes.append((kind, list(texts)))
        self.threads.add(threading.get_ident())
        self.inside.set()
        assert self.gate.wait(30)
        return super().encode_documents(texts)


class World:
    """A batcher whose lingering ends when the test says so."""

    def __init__(self, model: Model, most: int = 4) -> None:
        self.clock, self.lingered = MemoryClock(), asyncio.Event()
        self.pauses: list[float] = []
        self.model = model
        self.batcher = Batcher(self.clock, linger=LINGER, most=most, pause=self._pause)

    async def _pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        await self.lingered.wait()
        self.clock.advance(seconds)

    def ask(self, *texts: str, query: bool = True) -> "asyncio.Task[Vector]":
        """Somebody who waits for the vectors of these texts."""
        return asyncio.get_running_loop().create_task(
            self.batcher.encode(self.model, texts, query=query)
        )

    async def model_is_busy(self) -> None:
        """Returns once a pass has begun."""
        self.lingered.set()
        await asyncio.to_thread(self.model.inside.wait, 30)


async def settle() -> None:
    """Let every task go as far as it can."""
    for _ in range(20):
        await asyncio.sleep(0)


def play(
    story: Callable[[World], Awaitable[None]], model: Model | None = None, most: int = 4
) -> World:
    """Run a story in an event loop of its own."""

    async def run() -> World:
        world = World(model or Model(), most)
        await story(world)
        world.batcher.close()
        return world

    return asyncio.run(run())


def vector(text: str) -> Vector:
    return TwinEmbedder(8).encode_query(text)


def test_queries_that_arrive_together_share_a_pass() -> None:
    """Three callers within the linger: one pass, and each gets the vectors of its own
    texts in its own order.
    """

    async def story(world: World) -> None:
        asked = [world.ask("a"), world.ask("b", "c"), world.ask("d")]
        await settle()
        assert world.model.passes == []
        world.lingered.set()
        first, second, third = await asyncio.gather(*asked)
        np.testing.assert_array_equal(first, [vector("a")])
        np.testing.assert_array_equal(second, [vector("b"), vector("c")])
        np.testing.assert_array_equal(third, [vector("d")])

    world = play(story)
    assert world.model.passes == [("query", ["a", "b", "c", "d"])]
    assert world.pauses == [LINGER]


def test_what_arrives_while_the_model_is_busy_shares_the_next_pass_without_lingering() -> None:
    """A text that has waited its linger already goes with all the others as soon as the
    model is free.
    """

    async def story(world: World) -> None:
        first = world.ask("first")
        await world.model_is_busy()
        more = [world.ask(text) for text in "abc"]
        await settle()
        world.clock.advance(1.0)
        world.model.gate.set()
        await asyncio.gather(first, *more)

    world = play(story, Model(is_open=False))
    assert world.model.passes == [("query", ["first"]), ("query", ["a", "b", "c"])]
    assert world.pauses == [LINGER]


def test_a_pass_has_its_most() -> None:
    """More texts than a pass may have go in the next ones, in order; `most` of 1 lets
    nobody share, and nobody wait.
    """

    async def story(world: World) -> None:
        world.lingered.set()
        await world.ask(*"abcdef")

    assert [texts for _, texts in play(story).model.passes] == [["a", "b", "c", "d"], ["e", "f"]]
    alone = play(story, most=1)
    assert [texts for _, texts in alone.model.passes] == [[text] for text in "abcdef"]
    assert alone.pauses == []


def test_a_query_waits_for_one_pass_of_documents_at_most() -> None:
    """A long list of documents does not stand in front of a query."""

    async def story(world: World) -> None:
        long = world.ask(*(f"document {n}" for n in range(12)), query=False)
        await world.model_is_busy()
        query = world.ask("query")
        await settle()
        world.model.gate.set()
        await asyncio.gather(long, query)

    passes = play(story, Model(is_open=False)).model.passes
    assert [kind for kind, _ in passes][:3] == ["document", "document", "query"]
    assert len(passes) == 4


def test_a_refused_text_fails_alone() -> None:
    """Neighbours in the pass get their vectors; whoever sent the text gets the reason,
    without the text.
    """

    async def story(world: World) -> None:
        world.model.fails = lambda text: text == "poison"
        asked = [world.ask("a"), world.ask("poison"), world.ask("b")]
        world.lingered.set()
        good, bad, also_good = await asyncio.gather(*asked, return_exceptions=True)
        assert isinstance(bad, PoisonText)
        assert "poison" not in str(bad)
        np.testing.assert_array_equal(good, [vector("a")])
        np.testing.assert_array_equal(also_good, [vector("b")])

    play(story)


def test_an_error_of_the_model_is_every_callers_and_the_next_pass_is_tried() -> None:
    """Whatever the model raises reaches all who wait, and nobody hangs afterwards."""

    async def story(world: World) -> None:
        world.lingered.set()

        def broken(_: str) -> bool:
            raise ConfigurationError("the model is gone", fix="fetch it")

        world.model.fails = broken
        results = await asyncio.gather(world.ask("a"), world.ask("b"), return_exceptions=True)
        assert [str(error) for error in results] == ["the model is gone: fetch it"] * 2
        world.model.fails = lambda _: False
        np.testing.assert_array_equal(await world.ask("c"), [vector("c")])

    play(story)


def test_texts_that_nobody_waits_for_are_not_encoded() -> None:
    """A request that was given up while it waited costs no pass."""

    async def story(world: World) -> None:
        given_up, kept = world.ask("given up", "this too"), world.ask("kept")
        await settle()
        given_up.cancel()
        await settle()
        world.lingered.set()
        await kept
        await asyncio.gather(given_up, return_exceptions=True)
        world.lingered.clear()
        alone = world.ask("alone")
        await settle()
        alone.cancel()
        await asyncio.gather(alone, return_exceptions=True)
        world.lingered.set()
        np.testing.assert_array_equal(await world.ask("after"), [vector("after")])

    assert play(story).model.passes == [("query", ["kept"]), ("query", ["after"])]


def test_the_model_meets_one_thread_and_the_event_loop_goes_on() -> None:
    """All passes and calls are in one thread, which is not the event loop's; the loop
    moves while the model works.
    """

    async def story(world: World) -> None:
        asked = world.ask("a")
        await world.model_is_busy()
        await settle()
        assert not asked.done()
        world.model.gate.set()
        await asked
        world.model.threads.add(await world.batcher.call(threading.get_ident))

    world = play(story, Model(is_open=False))
    assert len(world.model.threads) == 1
    assert threading.get_ident() not in world.model.threads


@pytest.mark.parametrize("count", [1, 5])
def test_nothing_is_left_behind(count: int) -> None:
    """After the last answer nothing waits and no task runs."""

    async def story(world: World) -> None:
        world.lingered.set()
        await asyncio.gather(*(world.ask(f"text {n}") for n in range(count)))
        await settle()
        assert len(asyncio.all_tasks()) == 1

    play(story)
