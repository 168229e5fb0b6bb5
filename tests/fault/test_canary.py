"""Everything seems to run and nothing is delivered: the canary and the slot show it, and
then it heals.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from connectors.local.stack import LocalStack
from schemas.health.severity import Severity
from tests.fault.conftest import ready_on
from tests.support.canary import QUICK, check, until_green, until_red
from tests.support.waiting import until
from tests.support.workplace import Workplace

pytestmark = pytest.mark.stack


@pytest.fixture
def place(fragile: LocalStack, tmp_path: Path) -> Iterator[Workplace]:
    """A workplace on the stack of this folder with a live worker, seen to be green."""
    with ready_on(fragile.endpoints(), tmp_path, canary=QUICK) as made:
        made.start_worker("live")
        until_green(made)
        yield made


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """A process that exists and does nothing."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def test_a_log_that_is_read_and_not_sent_is_named(place: Workplace) -> None:
    """The server's process behind the slot is stopped: the connector is RUNNING, the slot
    active, the lag 0. Canary and slot show it.
    """
    query = "SELECT active_pid FROM pg_replication_slots WHERE slot_name = %s"
    sender = int(
        until(lambda: place.value(query, (place.settings.slot,)), what="the slot to be read")
    )
    with stopped(sender):
        seen = until_red(
            place, "it was last seen written in Postgres, and is not captured into Kafka"
        )
        assert (seen.severity, seen.slot.state, seen.connector.state) == (
            Severity.CRITICAL,
            "active",
            "RUNNING",
        )
        code, said = check(place)
        assert (code, said.split(" - ")[0]) == (2, "LAG CRITICAL")
        assert "last seen written in Postgres" in said
        still = until_red(place, "has stood still for")
        assert still.slot.standstill_seconds is not None
        assert still.slot.standstill_seconds > place.settings.canary.slot_seconds
    until_green(place)


def test_a_connect_that_stands_is_named(fragile: LocalStack, place: Workplace) -> None:
    """SIGSTOP of Connect's JVM: it does not answer, and the canary was last seen in
    Postgres; afterwards all is green.
    """
    words = "it was last seen written in Postgres, and is not captured into Kafka"
    pid = next(status.pid for status in fragile.status() if status.name == "connect" and status.pid)
    with stopped(pid):

        def told() -> bool:
            code, said = check(place)
            return code == 2 and "Kafka Connect did not answer" in said and words in said

        # By the command: what is asked and never answered would keep its connection in
        # this process.
        until(told, what=f"{words!r} to be said")
    until_green(place)
