"""What speaks for vectors that the application made, and what has to be handled before
they are believed.
"""

import pytest

from connectors.postgres.audit.adoption import Horizon
from connectors.twins.kafka import MemoryOffsets
from connectors.twins.memory import MemoryClock
from schemas.errors import TargetMismatch, VectrueError
from schemas.health.lag import Member
from schemas.reports.adoption import Candidates, verdict
from schemas.reports.audit_report import Deep
from schemas.rows.table import TableName
from schemas.rows.target import KeyColumn, Target
from schemas.settings.reading import Settings
from streams.audit.adopt import of_model, require_proof
from streams.audit.caught_up import CaughtUp

GROUP, TOPIC, DEFERRED = "vectrue-live", "vectrue.public.t", "vectrue.deferred"


def candidates(
    *cosines: float | None, refused: int = 0, skipped: int = 0, adoptable: int = 1000
) -> Candidates:
    deep = Deep(refused=refused, skipped=skipped)
    for position, value in enumerate(cosines):
        deep.add((str(position),), value, b"")
    return Candidates("public.t", "embedding", "m@1+2", {"adoptable": adoptable, "blank": 3}, deep)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (
            candidates(1.0, 0.9989, 0.5),
            "2 of 3 sampled vectors of public.t.embedding are not what m@1+2 makes",
        ),
        (candidates(1.0, None), "worst cosine none, of row 1"),
        (candidates(1.0, refused=1), "does not take the texts of 1 sampled rows"),
        (candidates(skipped=5), "changed before it could be compared"),
    ],
)
def test_anything_but_agreement_refuses(found: Candidates, words: str) -> None:
    """A low or unknown cosine, a refused text, an empty comparison: nothing may be
    adopted, and it is said why.
    """
    assert words in str(found.complaint)
    assert words in verdict([candidates(1.0), found])
    with pytest.raises(
        VectrueError, match=r"nothing was adopted: .*replay run --only stale -t public\.t"
    ):
        require_proof([candidates(1.0), found])


def test_agreement_goes_on() -> None:
    """Cosines of 0.999 and more speak for the model; where there is nothing to adopt,
    nothing needs to.
    """
    require_proof([candidates(1.0, 0.999), candidates(adoptable=0)])
    assert (
        verdict([candidates(1.0)])
        == "1,000 vectors can be adopted; 3 others are left to vectrue replay run"
    )


def test_what_a_sample_may_miss() -> None:
    """The share of wrong vectors that a sample misses with a chance of 5 %: (1 - p)^n;
    none when all were compared.
    """
    share = candidates(*[1.0] * 100).may_differ
    assert share is not None
    assert (1 - share) ** 100 == pytest.approx(0.05)
    assert candidates(1.0, 1.0, adoptable=2).may_differ == 0
    assert candidates(skipped=1).may_differ is None


def target(table: str, model: str, column: str = "embedding") -> Target:
    return Target(TableName("public", table), column, "x", (KeyColumn("id", "bigint"),), model, 64)


def test_the_model_is_named_by_id_or_name() -> None:
    """In a migration the column of that model is meant; a table without one is refused
    with what it wants.
    """
    old, new, other = (
        target("t", "org/a@1+2"),
        target("t", "org/b@3+4", "embedding_v2"),
        target("u", "org/a@1+2"),
    )
    assert of_model([old, new], "org/b") == of_model([old, new], "org/b@3+4") == [new]
    assert of_model([old, other], "org/a") == [old, other]
    with pytest.raises(
        TargetMismatch, match=r"public\.u\.embedding wants vectors of org/a@1\+2, not of org/b"
    ):
        of_model([old, new, other], "org/b")


class Lane:
    """The live lane over a twin: a slot that stands somewhere, a topic of the table,
    one of the deferred rows.
    """

    def __init__(self) -> None:
        self.broker = MemoryOffsets()
        for topic in (TOPIC, DEFERRED):
            self.broker.create_topic(topic, 1)
        self.slot: int | None = 100
        self.clock = MemoryClock()
        self.told: list[str] = []

    def wait(self) -> None:
        handled = CaughtUp(Settings(), self.broker, lambda: self.slot, self.clock)
        handled.wait(Horizon(7, 100), [TOPIC, DEFERRED], self.tell)

    def tell(self, why: str) -> None:
        self.told.append(why)


def test_nothing_captured_is_nothing_to_wait_for() -> None:
    """With empty topics and a slot past the horizon it goes on at once, without any
    worker.
    """
    lane = Lane()
    lane.wait()
    assert (lane.told, lane.clock.waits) == ([], [])


@pytest.mark.parametrize("topic", [TOPIC, DEFERRED])
def test_a_change_on_its_way_is_waited_for(topic: str) -> None:
    """Behind in the slot, in the topic or among the deferred rows: it waits, says so
    once, and then goes on.
    """
    lane = Lane()
    lane.slot = 99
    lane.broker.join(GROUP, Member("m", "h", "c"), [(topic, 0)])

    def tell(why: str) -> None:
        lane.told.append(why)
        if lane.slot == 99:
            lane.slot = 101
            lane.broker.append(topic, 0, b"x")
        else:
            lane.broker.commit(GROUP, topic, 0, 1)

    lane.tell = tell  # type: ignore[method-assign] # what happens meanwhile
    lane.wait()
    assert lane.told == [
        "capture has not confirmed the changes before this command yet",
        "1 changes wait for the live worker",
    ]


def test_what_will_not_be_handled_is_refused() -> None:
    """No slot, no worker, or records that expired unread: one sentence with the way
    out, and soon.
    """
    lane = Lane()
    lane.slot = None
    with pytest.raises(VectrueError, match=r"slot vectrue does not exist: .*vectrue init"):
        lane.wait()
    lane.slot = 100
    lane.broker.append(TOPIC, 0, b"x")
    with pytest.raises(
        VectrueError, match="none runs, for 15 s: start `vectrue worker --role live`"
    ):
        lane.wait()
    lane.broker.append(TOPIC, 0, b"y")
    lane.broker.delete_before(TOPIC, 0, 2)
    with pytest.raises(VectrueError, match="expired before the live worker read them"):
        lane.wait()
    lane.broker.commit(GROUP, TOPIC, 0, 1)
    with pytest.raises(VectrueError, match="expired before the live worker read them"):
        lane.wait()


def test_a_live_lane_that_stays_behind_is_not_waited_for_for_ever() -> None:
    """After three minutes it ends with the reason, also where the topic cannot be read."""
    for broken in (False, True):
        lane = Lane()
        lane.broker.append(TOPIC, 0, b"x")
        lane.broker.join(GROUP, Member("m", "h", "c"), [(TOPIC, 0)])
        handled = CaughtUp(Settings(), lane.broker, lambda: 100, lane.clock)
        words = (
            "it is not known whether"
            if broken
            else "1 changes wait for the live worker, for 180 s: see `vectrue lag`"
        )
        with pytest.raises(VectrueError, match=words):
            handled.wait(Horizon(7, 100), ["missing"] if broken else [TOPIC], lane.tell)
        assert len(lane.told) == 1
