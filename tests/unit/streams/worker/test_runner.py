"""How batches are driven: part by part, each acknowledged before the next begins, none
after one that failed.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest

from connectors.twins.memory import MemoryClock
from schemas.errors import Stopping
from schemas.messages.record import Record
from schemas.settings.sections import WatchdogSettings
from streams.worker.agents import LiveAgents
from streams.worker.watches.watchdog import Heartbeat, judge
from tests.support.leaving import Left, exit_codes

CHANGES, CANARY = "t.public.questions", "t.vectrue.canary"


class Broker:
    """Says that events of every stream wait, and that the group does not know this
    worker.
    """

    def is_member(self) -> bool:
        return False

    def lag(self, stream: str) -> int:  # noqa: ARG002 - of all of them
        return 5


class World:
    """A worker whose stream brings one batch; what happens is noted in its order."""

    def __init__(
        self, steps: Callable[["World", Sequence[Record]], Iterator[Sequence[Record]]]
    ) -> None:
        self.happened: list[str] = []
        self.at_ack: Callable[[], None] = lambda: None
        self.clock = MemoryClock()
        self.heartbeat = Heartbeat(self.clock.monotonic(), ["sync", "canary", "deferred"])
        self.app = SimpleNamespace(should_stop=False)
        sync = SimpleNamespace(steps=lambda records: steps(self, records))
        arrivals = SimpleNamespace(topic=CANARY, steps=self._arrive)
        lane = SimpleNamespace(sync=sync, arrivals=arrivals, clock=self.clock)
        positions = SimpleNamespace(saw=list)
        self.agents = LiveAgents(
            cast("Any", self.app), cast("Any", lane), self.heartbeat, cast("Any", positions)
        )

    def _arrive(self, records: Sequence[Record]) -> Iterator[Sequence[Record]]:
        self.happened.append(f"beats {[record.offset for record in records]}")
        yield records

    def bring(self, *offsets: int, beats: Sequence[int] = ()) -> None:
        """Have the agent body handle one batch."""
        events = [event(CHANGES, offset) for offset in offsets] + [
            event(CANARY, offset) for offset in beats
        ]
        world = self

        class Stream:
            async def noack_take(self, size: int, within: float) -> AsyncIterator[list[Any]]:  # noqa: ARG002 - Faust's
                yield events

            async def ack(self, event: Any) -> None:
                world.happened.append(f"ack {event.message.offset}")
                world.at_ack()

        asyncio.run(self.agents.live(Stream(), 64, 0.0))


def event(topic: str, offset: int) -> Any:
    fields = {"headers": (), "timestamp": None, "partition": 0, "key": None, "value": b"{}"}
    return SimpleNamespace(message=SimpleNamespace(topic=topic, offset=offset, **fields))


@pytest.fixture
def left(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Exit codes of the processes that would have ended."""
    return exit_codes(monkeypatch)


def in_parts(world: World, records: Sequence[Record]) -> Iterator[Sequence[Record]]:
    for number, part in enumerate((records[:1], [], records[1:])):
        world.happened.append(f"part {number}")
        yield part


def test_each_part_is_acknowledged_before_the_next_begins() -> None:
    """In the order of the offsets, and the beats of the same batch when its changes are
    done.
    """
    world = World(in_parts)
    world.bring(7, 8, 9, beats=[3])
    parts = ["part 0", "ack 7", "part 1", "part 2", "ack 8", "ack 9"]
    assert world.happened == [*parts, "beats [3]", "ack 3"]


def test_a_part_that_fails_leaves_what_was_not_acknowledged(left: list[int]) -> None:
    """Exit 70 with the offsets of the parts before it, and none behind."""

    def fails(_: World, records: Sequence[Record]) -> Iterator[Sequence[Record]]:
        yield records[:1]
        raise ZeroDivisionError

    world = World(fails)
    with pytest.raises(Left):
        world.bring(7, 8)
    assert (world.happened, left) == (["ack 7"], [70])


def test_a_stop_between_two_parts_leaves_with_0(left: list[int]) -> None:
    """What was not come to is handled by the next worker."""

    def stopped(_: World, records: Sequence[Record]) -> Iterator[Sequence[Record]]:
        yield records[:1]
        raise Stopping("asked to stop")

    world = World(stopped)
    with pytest.raises(Left):
        world.bring(7, 8)
    assert (world.happened, left) == (["ack 7"], [0])


def test_the_waits_of_a_long_batch_are_cut_short_when_the_grace_is_over(left: list[int]) -> None:
    """Also where no part takes long enough for the loop to look while it runs."""

    def goes_on(world: World, records: Sequence[Record]) -> Iterator[Sequence[Record]]:
        for record in records:
            world.app.should_stop = True
            world.clock.wait(0)
            world.clock.advance(3)
            yield [record]

    world = World(goes_on)
    world.clock.stop = lambda: setattr(world.clock, "stopping", True)  # type: ignore[attr-defined] # as the real one
    with pytest.raises(Left):
        world.bring(*range(10))
    assert (world.happened, left) == ([f"ack {offset}" for offset in range(3)], [0])


def test_an_event_that_came_twice_is_acknowledged_twice() -> None:
    """Around a rebalance the same offset may be in a batch from before and from after
    it.
    """
    world = World(in_parts)
    world.bring(7, 8, 8)
    assert world.happened == ["part 0", "ack 7", "part 1", "part 2", "ack 8", "ack 8"]


def test_a_forgotten_event_ends_the_worker(left: list[int]) -> None:
    """Never acknowledged, it would hold the partition for ever, in silence."""
    world = World(lambda _, records: iter([records[:1]]))
    with pytest.raises(Left):
        world.bring(7, 8)
    assert left == [70]


def test_a_long_batch_is_no_reason_for_the_watchdog() -> None:
    """A batch of hours, of which each part is within its budget, is judged neither in a
    part nor between two.
    """
    limits = WatchdogSettings(idle_seconds=60, batch_seconds=900)
    reasons: list[str | None] = []

    def judged(world: World) -> None:
        now = world.clock.monotonic()
        world.heartbeat.tick(now, 2)
        # Twice: what waits has to wait for one question more.
        judge(world.heartbeat, now, limits, Broker())
        reasons.append(judge(world.heartbeat, now, limits, Broker()))

    def long(world: World, records: Sequence[Record]) -> Iterator[Sequence[Record]]:
        for record in records:
            world.clock.advance(90)
            judged(world)
            yield [record]

    world = World(long)
    world.at_ack = lambda: judged(world)
    world.heartbeat.progressed["deferred"] = world.clock.monotonic() + 64 * 90
    world.bring(*range(64))
    assert reasons == [None] * 2 * 64
