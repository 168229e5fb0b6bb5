"""What is made of a broker's answers about its logs."""

from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import OFFSET_INVALID, TopicPartition

from connectors.clock import SystemClock
from connectors.kafka.lag_rows import Unread
from connectors.kafka.offsets import KafkaOffsets
from schemas.settings.reading import load


@pytest.mark.parametrize("offset", [7, OFFSET_INVALID])
def test_an_offset_that_is_none_is_not_the_end_of_a_log(
    monkeypatch: pytest.MonkeyPatch, offset: int
) -> None:
    """A broker that is starting may say -1001 without an error: unknown, or every
    commit would lie beyond the end.
    """
    place = TopicPartition("t", 0)
    asked = KafkaOffsets(load(tables=[{"name": "public.t", "text": "x"}]), SystemClock())
    answer: Future[Any] = Future()
    answer.set_result(SimpleNamespace(offset=offset))
    admin = SimpleNamespace(list_offsets=lambda *_, **__: {place: answer})
    monkeypatch.setattr(asked._admin, "client", lambda: admin)
    (found,) = asked._log_offsets([("t", 0)], asked).values()  # type: ignore[arg-type]
    assert found == 7 if offset >= 0 else isinstance(found, Unread)
