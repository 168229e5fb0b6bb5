"""A worker that is told to stop while something it asked does not answer."""

import re
from collections.abc import Iterator

import pytest

from connectors.clock import SystemClock
from connectors.kafka.offsets import KafkaOffsets
from tests.support.proxy import HOST, Proxy
from tests.support.waiting import until
from tests.support.workplace import Workplace

pytestmark = pytest.mark.stack

_KILLED_AFTER = 30.0
"""A supervisor grants this many seconds between SIGTERM and SIGKILL."""

ASKED = """
SELECT count(*) > 0 FROM pg_stat_activity
WHERE datname = current_database() AND application_name LIKE 'embedsync live%%' AND query_start > %s::timestamptz
"""


@pytest.fixture
def way(ready: Workplace) -> Iterator[Proxy]:
    """The workplace's settings lead to Postgres through this proxy."""
    dsn = ready.settings.postgres.dsn
    proxy = Proxy(int(re.findall(r":(\d+)/", dsn)[0]))
    proxy.start()
    ready.with_settings(postgres={"dsn": re.sub(r"@[^/]+/", f"@{HOST}:{proxy.port}/", dsn)})
    yield proxy
    proxy.stop()


def test_a_question_without_an_answer_does_not_hold_the_end_up(ready: Workplace, way: Proxy) -> None:
    """Postgres has got a question, and its answer is lost for ever: SIGTERM ends the worker with 0, in time."""
    worker = ready.start_worker("live")
    offsets = KafkaOffsets(ready.settings, SystemClock())
    group = ready.settings.live_group
    until(lambda: offsets.read({group: []})[group].members == 1, timeout=60, what="the worker to join its group")
    way.half_open("answers")
    since = ready.value("SELECT clock_timestamp()::text")
    until(lambda: bool(ready.value(ASKED, (since,))), timeout=30, what="the worker to ask Postgres something")
    worker.terminate()
    assert worker.wait(_KILLED_AFTER) == 0
