"""What became of a row that was found wrong: its events, its deferrals, its writes, and
whether it is repaired later.

A violation that happens once in thousands of faults has to be told apart at once: an
event that never came to Kafka was lost by capture, one that came was lost by a worker,
and a row that is true half a minute later was judged too early.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, TopicPartition

from schemas.settings.reading import Settings
from tests.soak.checker import AWAY, Offsets, Rows, Wrong

_READ_SECONDS = 30.0


class Trace:
    """Reads the topics again for each row: it is needed once in a campaign at most."""

    def __init__(self, rows: Rows, offsets: Offsets, settings: Settings) -> None:
        """Remember whom to ask."""
        self._rows = rows
        self._offsets = offsets
        self._settings = settings

    def of(self, wrong: Wrong, let_pass: Callable[[float], None]) -> Iterator[str]:
        """Lines about one row; the last one after half a minute more."""
        prefix, name = self._settings.kafka.topic_prefix, f"public.{wrong.table.name}"
        key = [str(part) for part in wrong.key]
        places = {
            f"{prefix}.{name}": lambda value: _event(value, wrong.table.key) == key,
            self._settings.deferred_topic: lambda value: (
                value.get("table") == name and _deferred(value) == key
            ),
        }
        for topic, concerns in places.items():
            try:
                yield from self._records(topic, concerns)
            except AWAY as error:
                yield f"{topic} cannot be read: {error}"
        pattern = ", ".join(
            f'"{column}": {json.dumps(part)}'
            for column, part in zip(wrong.table.key, wrong.key, strict=True)
        )
        audited = (
            "SELECT what, at FROM soak.audit WHERE table_name = %s AND key LIKE '%%' || %s || "
            "'%%' ORDER BY at"
        )
        for what, at in self._rows.ask(audited, (wrong.table.name, pattern)):
            yield f"written: {what} at {at}"
        slot = (
            "SELECT confirmed_flush_lsn, pg_current_wal_lsn() FROM pg_replication_slots WHERE "
            "slot_name = %s"
        )
        yield f"slot and log at {self._rows.ask(slot, (self._settings.slot,))}"
        held = (
            "SELECT reason, attempts, first_at, last_at FROM vectrue.quarantine WHERE "
            "table_name = %s AND key = %s"
        )
        yield f"quarantine: {self._rows.ask(held, (name, key))}"
        columns = "xmin, xmax, ctid, embedding_hash IS NULL AS unwritten, embedded_at"
        select = f"SELECT now(), {columns} FROM {wrong.table.name} WHERE {wrong.table.where}"
        yield f"row: {self._rows.ask(select, wrong.key)}"
        let_pass(30.0)
        yield f"row half a minute later: {self._rows.ask(select, wrong.key)}"

    def _records(self, topic: str, concerns: Callable[[Mapping[str, Any]], bool]) -> Iterator[str]:
        consumer = self._offsets.consumer(self._settings.live_group)
        try:
            partitions = consumer.list_topics(topic, timeout=5).topics[topic].partitions
            places = [TopicPartition(topic, number) for number in partitions]
            committed = {
                place.partition: place.offset for place in consumer.committed(places, timeout=5)
            }
            found = 0
            for place in places:
                end = consumer.get_watermark_offsets(place, timeout=5)[1]
                consumer.assign([TopicPartition(topic, place.partition, OFFSET_BEGINNING)])
                for message in _upto(consumer, end):
                    value = _parsed(message.value())
                    if concerns(value):
                        found += 1
                        source = {
                            name: value.get("source", {}).get(name)
                            for name in ("lsn", "txId", "ts_ms")
                        }
                        at = (
                            f"{topic}/{place.partition}:{message.offset()}, committed "
                            f"{committed[place.partition]}"
                        )
                        content = value.get("deferral", source)
                        yield f"record at {at}, of {message.timestamp()[1]}: {content}"
            yield f"{found} records in {topic}"
        finally:
            consumer.close()


def _upto(consumer: Any, end: int) -> Iterator[Any]:
    reached, idle = 0, 0.0
    while reached < end and idle < _READ_SECONDS:
        messages = consumer.consume(500, timeout=0.2)
        idle = 0.0 if messages else idle + 0.2
        for message in messages:
            if message.error() is None:
                reached = message.offset() + 1
                yield message


def _parsed(value: bytes | None) -> Mapping[str, Any]:
    try:
        parsed = json.loads(value or b"")
    except ValueError:
        return {}  # a poison event
    return parsed if isinstance(parsed, dict) else {}


def _event(value: Mapping[str, Any], columns: Sequence[str]) -> list[str]:
    row = value.get("after") or value.get("before") or {}
    return [str(row.get(column)) for column in columns]


def _deferred(value: Mapping[str, Any]) -> list[str]:
    return [str(part) for part in value["keys"][0]] if value.get("keys") else []
