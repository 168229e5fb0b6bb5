"""The watch for I3: throughout the campaign, no committed offset passes an event whose
row is not handled.

Every half second: the live group's committed offsets are read; then the probe topic is
read from its beginning up to there, which maps offsets to rows; then the rows without a
vector. The probe's rows never change, and go only when they were found true, so an
event below the committed offset with a row without vector is an event that was lost,
unless the row was durably deferred: the deferred topic is read as well.
"""

import json
import threading
import time
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from tests.soak.checker import AWAY, Offsets, Rows
from tests.soak.letters import POISON
from tests.soak.tables import PROBE

_READ_SECONDS = 5.0


class Watch(threading.Thread):
    """Polls until `end`."""

    def __init__(
        self, rows: Rows, offsets: Offsets, group: str, probe_topic: str, deferred_topic: str
    ) -> None:
        super().__init__(daemon=True, name="watch")
        self.violations: list[str] = []
        self.deferrals = 0
        self.polls = 0
        self.skipped = 0
        self.crash: BaseException | None = None
        self._rows = rows
        self._offsets = offsets
        self._group = group
        self._probe_topic = probe_topic
        self._deferred_topic = deferred_topic
        self._ended = threading.Event()
        self._ids: dict[tuple[int, int], int] = {}
        self._read: dict[tuple[str, int], int] = {}
        self._deferred: set[int] = set()
        self._reported: set[int] = set()

    def run(self) -> None:
        """Poll; what the faults take away costs single polls."""
        reader, asker = (
            self._offsets.consumer(f"{self._group}-watch"),
            self._offsets.consumer(self._group),
        )
        try:
            while not self._ended.wait(0.5):
                try:
                    self._poll(reader, asker)
                    self.polls += 1
                except AWAY:
                    self.skipped += 1
        except BaseException as error:  # noqa: BLE001 - kept, and the campaign fails on it
            self.crash = error
        finally:
            reader.close()
            asker.close()

    def end(self) -> None:
        """Stop polling, and wait until it has."""
        self._ended.set()
        self.join(60)

    def _poll(self, reader: Consumer, asker: Consumer) -> None:
        """One look. The asker fetches nothing: its questions would wait behind the long
        polls of its connection.
        """
        if not self._read:
            self._assign(reader)
        probes = [TopicPartition(*place) for place in self._read if place[0] == self._probe_topic]
        upto = {
            (p.topic, p.partition): max(0, p.offset) for p in asker.committed(probes, timeout=5)
        }
        for topic, partition in self._read:
            if topic == self._deferred_topic:
                end = asker.get_watermark_offsets(TopicPartition(topic, partition), timeout=5)[1]
                upto[topic, partition] = end
        self._consume(reader, upto)
        unwritten = {
            int(id_)
            for (id_,) in self._rows.ask(f"SELECT id FROM {PROBE.name} WHERE embedding IS NULL")
        }
        for (partition, offset), id_ in self._ids.items():
            passed = offset < upto[self._probe_topic, partition]
            if (
                passed
                and id_ in unwritten
                and id_ not in self._deferred
                and id_ not in self._reported
            ):
                self._reported.add(id_)
                committed = upto[self._probe_topic, partition]
                where = (
                    f"{self._probe_topic}/{partition}: committed {committed} passes the event "
                    f"at {offset}"
                )
                self.violations.append(f"I3: {where} of row {id_}, which has no vector")
        self._ids = {
            place: id_
            for place, id_ in self._ids.items()
            if id_ in unwritten or place[1] >= self._end(upto, place)
        }

    def _end(self, upto: dict[tuple[str, int], int], place: tuple[int, int]) -> int:
        return upto[self._probe_topic, place[0]]

    def _assign(self, consumer: Consumer) -> None:
        known = consumer.list_topics(timeout=5).topics
        places = [
            (t, p) for t in (self._probe_topic, self._deferred_topic) for p in known[t].partitions
        ]
        consumer.assign([TopicPartition(*place, OFFSET_BEGINNING) for place in places])
        self._read = dict.fromkeys(places, 0)

    def _consume(self, consumer: Consumer, upto: dict[tuple[str, int], int]) -> None:
        """Read on until every partition was read up to there; an unread rest is met by
        the next poll.
        """
        deadline = time.monotonic() + _READ_SECONDS
        while (
            any(self._read[place] < end for place, end in upto.items())
            and time.monotonic() < deadline
        ):
            for message in consumer.consume(100, timeout=0.05):
                if message.error() is None:
                    self._note(message)

    def _note(self, message: Any) -> None:
        place = (message.topic(), message.partition())
        self._read[place] = message.offset() + 1
        if POISON in message.value():
            return
        value = json.loads(message.value())
        if place[0] == self._probe_topic:
            self._ids[place[1], message.offset()] = int(value["after"]["id"])
            return
        self.deferrals += 1
        if value["table"] == f"public.{PROBE.name}":
            self._deferred.update(int(key[0]) for key in value["keys"])
