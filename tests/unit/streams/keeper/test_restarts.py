"""When a connector that failed is restarted, and when it is left."""

from dataclasses import dataclass, field

import pytest
from structlog.testing import capture_logs

from connectors.debezium.answers import ConnectorStatus
from connectors.twins.memory import MemoryClock
from schemas.settings.sections import KeeperSettings
from streams.keeper.restarts import Restarts, is_away, kind_of

RUNNING = ConnectorStatus("RUNNING", ("RUNNING",), None)


def failed(reason: str) -> ConnectorStatus:
    return ConnectorStatus("RUNNING", ("FAILED",), reason)


@dataclass
class Bench:
    """Kafka Connect as a state, and the restarts by the second at which they came."""

    clock: MemoryClock = field(default_factory=MemoryClock)
    state: ConnectorStatus | None = RUNNING
    restarted: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.start = self.clock.monotonic()

    def status(self, name: str) -> ConnectorStatus | None:
        assert name == "c"
        return self.state

    def restart(self, name: str) -> None:
        assert name == "c"
        self.restarted.append(self.clock.monotonic() - self.start)

    def make(self, *, restart_connector: bool = True) -> Restarts:
        return Restarts(KeeperSettings(restart_connector=restart_connector), self, "c", self.clock)

    def passes(self, restarts: Restarts, seconds: int) -> list[str]:
        """Tick every second; returns what was logged as critical."""
        with capture_logs() as logs:
            for _ in range(seconds):
                restarts.tick()
                self.clock.advance(1)
        return [line["event"] for line in logs if line["log_level"] == "critical"]


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_a_first_failure_is_restarted_at_once(bench: Bench) -> None:
    """Many failures are the last word of a database that went away for a moment."""
    restarts = bench.make()
    bench.state = failed("Database says no")
    assert bench.passes(restarts, 1) == []
    bench.state = RUNNING
    bench.passes(restarts, 100)
    assert bench.restarted == [0]


def test_the_same_reason_is_left_after_three_restarts_and_told_once(bench: Bench) -> None:
    """What restarting does not mend is reported, once; numbers in the message do not
    make it another reason.
    """
    restarts = bench.make()
    told = []
    for i in range(60):
        bench.state = failed(f"publication nosuch does not exist at 0/{i:X}AB for xid {i}")
        told += bench.passes(restarts, 1)
    assert bench.restarted == [0, 1, 3]
    assert told == ["connector failed and is not restarted: fix the cause, then run `vectrue init`"]


def test_running_between_two_failures_for_a_moment_is_no_recovery(bench: Bench) -> None:
    """A task that runs for seconds and fails again has failed in a row; one that ran
    for a minute has not.
    """
    restarts = bench.make()
    for seconds in (10, 10, 70, 10, 10, 10):
        bench.state = failed("broken")
        bench.passes(restarts, 1)
        bench.state = RUNNING
        bench.passes(restarts, seconds)
    assert bench.restarted == [0, 11, 22, 93, 104, 115]
    bench.state = failed("broken")
    assert len(bench.passes(restarts, 60)) == 1
    assert len(bench.restarted) == 6


def test_another_reason_starts_afresh(bench: Bench) -> None:
    """Three restarts are for each reason."""
    restarts = bench.make()
    bench.state = failed("one")
    bench.passes(restarts, 30)
    bench.state = failed("another")
    bench.passes(restarts, 30)
    assert len(bench.restarted) == 6


def test_two_reasons_in_turn_are_no_endless_loop(bench: Bench) -> None:
    """Each restart brings the other reason: both are left after their own restarts,
    with pauses that grow.
    """
    restarts = bench.make()
    told = []
    for _ in range(600):
        bench.state = failed(("one", "another")[len(bench.restarted) % 2])
        told += bench.passes(restarts, 1)
    assert bench.restarted == [0, 1, 3, 7, 15, 31]
    assert len(told) == 1


def test_a_service_that_is_away_is_waited_for(bench: Bench) -> None:
    """While the database is down the connector is restarted for as long as that takes,
    at most once a minute.
    """
    restarts = bench.make()
    bench.state = failed("FATAL: the database system is starting up")
    assert bench.passes(restarts, 600) == []
    assert 10 <= len(bench.restarted) <= 16
    assert bench.passes(restarts, 86_400) == []
    assert bench.restarted[-1] - bench.restarted[-2] == 60


def test_it_can_be_switched_off(bench: Bench) -> None:
    """`restart_connector = false` reports a failure and restarts nothing."""
    bench.state = failed("broken")
    assert len(bench.passes(bench.make(restart_connector=False), 60)) == 1
    assert bench.restarted == []


def test_a_connector_that_was_paused_is_left_alone(bench: Bench) -> None:
    """What somebody stopped or paused stays so."""
    for state in ("PAUSED", "STOPPED"):
        bench.state = ConnectorStatus(state, (), None)
        assert bench.passes(bench.make(), 60) == []
    assert bench.restarted == []


def test_a_missing_connector_is_reported_and_not_made(bench: Bench) -> None:
    """Connect forgets for a moment when it starts; after half a minute it is said once."""
    restarts = bench.make()
    bench.state = None
    assert bench.passes(restarts, 30) == []
    assert bench.passes(restarts, 60) == [
        "Kafka Connect does not know the connector: run `vectrue init`"
    ]
    assert bench.restarted == []


@pytest.mark.parametrize(
    "reason",
    [
        "Connection to 127.0.0.1:5432 refused. Check that the hostname and port are correct",
        "FATAL: terminating connection due to administrator command",
        "An I/O error occurred while sending to the backend.",
        'ERROR: replication slot "s" is active for PID 17',
        "The connection attempt failed.",
    ],
)
def test_reasons_of_a_service_that_is_away(reason: str) -> None:
    """As pgjdbc and Postgres write them."""
    assert is_away(reason)
    assert not is_away('ERROR: publication "nosuch" does not exist')


def test_a_kind_keeps_the_words() -> None:
    """Positions and numbers go, words stay."""
    assert (
        kind_of("at 0/3D08070 for xid 938")
        == kind_of("at 1/FF for xid 2")
        != kind_of("at 1/FF for pid 2")
    )
