"""The watch of a worker's topics on stand-ins: what it says, what it has looked at,
when it has the worker leave.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import pytest

from connectors.twins.memory import MemoryClock
from schemas.errors import TransientError
from schemas.health.anomalies import Anomaly, Noted, Place
from schemas.health.lag import GroupLag, Member, PartitionLag
from schemas.messages.record import Record
from schemas.settings.reading import Settings
from streams.worker.watches.positions import HandledPositions
from streams.worker.watches.topics import CHECK_SECONDS, TopicWatch, tables_of

TOPIC, ME, OTHER = "p.public.t", "me", "another"


@dataclass
class World:
    """A broker with one topic and one group, the notes, and what was done."""

    clock: MemoryClock = field(default_factory=MemoryClock)
    topic_id: str | None = "a"
    rows: dict[int, PartitionLag] = field(
        default_factory=lambda: {0: PartitionLag(TOPIC, 0, None, 0, 0)}
    )
    members: list[str] = field(default_factory=list)
    state: str = "stable"
    notes: dict[str, Noted] = field(default_factory=dict)
    done: list[str] = field(default_factory=list)
    fails: bool = False
    locked: bool = False

    def __post_init__(self) -> None:
        self.positions = HandledPositions(self)
        self.settings = Settings(kafka={"topic_prefix": "p"}, watchdog={"idle_seconds": 60})
        self.watch = TopicWatch(
            self.settings,
            "live",
            [TOPIC],
            broker=self,
            notes=self,
            positions=self.positions,
            respond=self.respond,
            lock=self.lock,
            clock=self.clock,
        )

    def topic_ids(self, topics: Sequence[str]) -> Mapping[str, str | None]:
        return dict.fromkeys(topics, self.topic_id)

    def read(self, groups: Mapping[str, Sequence[str]]) -> Mapping[str, GroupLag]:
        rows = (
            tuple(self.rows.values())
            if self.topic_id
            else (PartitionLag(TOPIC, None, error="gone"),)
        )
        return {group: GroupLag(group, self.state, len(self.members), rows) for group in groups}

    def noted(self, topics: Sequence[str]) -> Mapping[str, Noted]:
        return {topic: self.notes[topic] for topic in topics if topic in self.notes}

    def set_offsets(self, group: str, offsets: Mapping[Place, int]) -> None:
        assert group == self.settings.live_group
        self.done.append(f"set {dict(offsets)}")
        for (_, partition), offset in offsets.items():
            self.rows[partition] = replace(self.rows[partition], current_offset=offset)

    def remember(self, topic: str, topic_id: str, handled: Mapping[int, int | None]) -> None:
        self.done.append(f"note {topic_id}")
        before = self.notes.get(topic, Noted(topic_id))
        known = dict(before.handled) if before.topic_id == topic_id else {}
        for partition, offset in handled.items():
            known[partition] = max(known.get(partition, 0), offset or 0)
        self.notes[topic] = Noted(topic_id, known)

    def handled(self, offsets: Mapping[Place, int], ids: Mapping[str, str]) -> None:
        known = self.notes[TOPIC]
        assert ids == {TOPIC: known.topic_id}
        self.notes[TOPIC] = Noted(
            known.topic_id, {**known.handled, **{p: offset for (_, p), offset in offsets.items()}}
        )

    def respond(self, anomaly: Anomaly) -> str:
        if self.fails:
            raise TransientError("away")
        self.done.append(anomaly.what)
        return "looked at"

    def lock(self) -> Callable[[], None] | None:
        return None if self.locked else lambda: None

    def commit(self, offset: int, *, noted: bool = True) -> None:
        """A worker's commit, after its note."""
        if noted:
            self.positions.note({(TOPIC, 0): offset})
        self.rows[0] = replace(self.rows[0], current_offset=offset)

    def log(self, start: int, end: int) -> None:
        self.rows[0] = replace(self.rows[0], log_start_offset=start, log_end_offset=end)

    def tick(self, seconds: float = CHECK_SECONDS) -> str | None:
        self.clock.advance(seconds)
        return self.watch.tick(ME)

    def told(self) -> list[str]:
        """What was found since the last call, without the notes."""
        found, self.done = [line for line in self.done if not line.startswith("note")], []
        return found


@pytest.fixture
def world() -> World:
    made = World()
    made.watch.begin()
    return made


def test_a_worker_that_works_is_no_surprise(world: World) -> None:
    """Its own commits, retention behind it, and its redeliveries; each is noted once."""
    for offset in (5, 9, 20):
        world.log(0, offset)
        world.positions.saw(Record(TOPIC, 0, seen, None, None) for seen in range(offset))
        world.commit(offset)
        assert world.tick() is None
    world.log(20, 20)
    assert world.tick() is None
    assert world.told() == []


def test_what_could_not_be_made_good_is_found_again(world: World) -> None:
    """While Postgres is away nothing is noted; then the same events are told, once."""
    world.log(7, 9)
    world.fails = True
    with pytest.raises(TransientError):
        world.tick()
    world.fails = False
    assert (world.tick(), world.tick()) == (None, None)
    assert world.told() == [f"7 events of topic {TOPIC} expired unread"]


def test_events_that_expired_between_two_looks_are_found_by_their_gap(world: World) -> None:
    """The worker was given 0 to 4, then 12: by the next look its commit is past the new
    start of the log.
    """
    offsets = (0, 1, 2, 3, 4, 12, 14)
    world.positions.saw(Record(TOPIC, 0, offset, None, None) for offset in offsets)
    world.log(12, 15)
    world.commit(15)
    assert world.tick() is None
    assert world.told() == [f"7 events of {TOPIC}[0] expired unread"]


def test_the_offsets_of_a_topic_made_again_are_forgotten(world: World) -> None:
    """The offsets are set once the members of before are gone, after the look was asked
    for, before the note.
    """
    world.log(0, 9)
    world.commit(9)
    world.topic_id = "b"
    world.log(3, 12)
    assert "its offsets mean nothing any more" in str(world.tick())
    again = f"topic {TOPIC} was deleted and made again"
    assert world.told() == [again]
    world.members = [OTHER]
    with pytest.raises(TransientError, match="still has members"):
        world.watch.begin()
    world.done.clear()
    world.members = []
    world.watch.begin()
    assert world.done == [again, f"set {{('{TOPIC}', 0): 3}}", "note b"]
    assert (world.rows[0].current_offset, world.notes[TOPIC]) == (3, Noted("b", {0: 3}))
    assert world.tick() is None


def test_a_topic_that_is_gone_ends_nobody(world: World) -> None:
    """It is waited for; when it is there again, it is another one."""
    world.topic_id = None
    assert (world.tick(), world.tick()) == (None, None)
    world.topic_id = "b"
    assert world.tick() is not None


def test_a_commit_that_no_worker_noted_is_told(world: World) -> None:
    """Once: it is noted with the look."""
    world.log(0, 40)
    world.commit(40, noted=False)
    assert (world.tick(), world.tick()) == (None, None)
    (told,) = world.told()
    assert "events from 0 on are not known to be handled" in told


def test_a_partition_that_nobody_holds_ends_the_worker(world: World) -> None:
    """After `watchdog.idle_seconds` with events in it; not during a rebalance, nor a
    spare worker.
    """
    world.rows[0] = replace(world.rows[0], member=Member("1", "h", ME))
    world.rows[1] = PartitionLag(TOPIC, 1, None, 0, 5)
    assert [world.tick(30) for _ in range(2)] == [None, None]
    world.state = "preparing_rebalance"
    assert [world.tick(30) for _ in range(4)] == [None] * 4
    world.state = "stable"
    world.rows[0] = replace(world.rows[0], member=Member("1", "h", OTHER))
    assert [world.tick(30) for _ in range(4)] == [None] * 4
    world.rows[0] = replace(world.rows[0], member=Member("1", "h", ME))
    assert [world.tick(30) for _ in range(3)] == [None] * 3
    assert f"no worker of the group has held {TOPIC}[1]" in str(world.tick(30))


def test_one_worker_begins_at_a_time(world: World) -> None:
    """A start that is held up by another one for too long says so."""
    world.locked = True
    with pytest.raises(TransientError, match="another worker of group p-live is starting"):
        world.watch.begin()


def test_which_rows_travel_through_which_topic() -> None:
    """A table's own; in the deferred topic all; in any other topic none."""
    settings = Settings(
        kafka={"topic_prefix": "p"}, tables=[{"name": "t", "text": "a"}, {"name": "u", "text": "b"}]
    )
    names = {
        topic: [str(t) for t in tables_of(settings, topic)]
        for topic in (TOPIC, "p.deferred", "p.replay")
    }
    assert names == {TOPIC: ["public.t"], "p.deferred": ["public.t", "public.u"], "p.replay": []}
