"""The contract of `Clock`, held by the in-memory twin and by the real one."""

from datetime import UTC, timedelta

import pytest

from connectors.clock import SystemClock
from connectors.twins.memory import MemoryClock
from schemas.errors import Stopping


@pytest.fixture(params=[MemoryClock, SystemClock])
def clock(request: pytest.FixtureRequest) -> MemoryClock | SystemClock:
    made: MemoryClock | SystemClock = request.param()
    return made


def test_time_passes_while_waiting(clock: MemoryClock | SystemClock) -> None:
    """After a wait both times are later by at least as much, and the time of day is in
    UTC.
    """
    day, monotonic = clock.now(), clock.monotonic()
    clock.wait(0.02)
    assert clock.monotonic() - monotonic >= 0.019
    assert clock.now() - day >= timedelta(milliseconds=15)
    assert clock.now().tzinfo is UTC


def test_a_wait_ends_when_the_process_is_asked_to_stop(clock: MemoryClock | SystemClock) -> None:
    """Once stopped, every wait raises Stopping at once, also one of no length."""
    if isinstance(clock, MemoryClock):
        clock.stopping = True
    else:
        clock.stop()
    for seconds in (0, 3600):
        with pytest.raises(Stopping):
            clock.wait(seconds)
