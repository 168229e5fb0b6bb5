"""`vectrue worker` without a role runs both lanes, restarts them when they fail, and leaves
none behind.
"""

import re
import signal

import psutil
import pytest

from tests.support.waiting import until
from tests.support.workplace import Workplace

pytestmark = pytest.mark.stack


def pids(place: Workplace) -> dict[str, int]:
    """The latest process of each role, as the supervisor's log tells it."""
    found: dict[str, int] = {}
    for line in place.log("supervisor").splitlines():
        started = re.search(r"worker started\s.*\bpid=(\d+)", line)
        role = re.search(r"\brole=(live|replay)\b", line)
        if started and role:
            found[role[1]] = int(started[1])
    return found


def ready_times(place: Workplace, times: int) -> bool:
    return place.log("supervisor").count("worker ready") >= times


def test_a_role_that_dies_is_started_again_and_the_end_is_clean(ready: Workplace) -> None:
    """After SIGKILL of the live worker a new one starts; SIGTERM of the supervisor ends
    all, exit 0, with no process left.

    Meanwhile the replay worker yields: its nice value is the higher one.
    """
    place = ready
    place.with_settings(replay={"nice": 5})
    supervisor = place.start("worker", log="supervisor")
    until(lambda: ready_times(place, 2), what="both roles")
    first = pids(place)
    assert psutil.Process(first["replay"]).nice() > psutil.Process(first["live"]).nice()
    psutil.Process(first["live"]).send_signal(signal.SIGKILL)
    until(lambda: pids(place)["live"] != first["live"], what="a new live worker")
    until(lambda: ready_times(place, 3), what="the new worker to be ready")
    place.execute("INSERT INTO questions (question) VALUES ('x')")
    place.wait_current()
    supervisor.send_signal(signal.SIGTERM)
    assert supervisor.wait(120) == 0
    assert not any(psutil.pid_exists(pid) for pid in pids(place).values())


def test_no_worker_outlives_a_supervisor_that_was_killed(ready: Workplace) -> None:
    """After SIGKILL of the supervisor its workers exit on their own."""
    place = ready
    supervisor = place.start("worker", log="supervisor")
    until(lambda: ready_times(place, 2), what="both roles")
    children = [psutil.Process(pid) for pid in pids(place).values()]
    supervisor.send_signal(signal.SIGKILL)
    supervisor.wait()
    assert len(children) == 2
    _, alive = psutil.wait_procs(children, timeout=120)
    assert alive == []
