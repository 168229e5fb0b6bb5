"""One bounded look at the records that wait, for many partitions at once.

Of each partition it reads the first record at or after an offset.
"""

from collections.abc import Mapping
from typing import cast

from confluent_kafka import Consumer, Message, TopicPartition

from connectors.kafka.client import opened
from connectors.ports import Clock
from schemas.messages.record import Record
from schemas.settings.reading import Settings

Place = tuple[str, int]
"""Topic and partition."""

_OPTIONS = {
    # librdkafka wants a group id all the same: one that no worker uses.
    "group.id": "vectrue-lag-probe",
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "auto.offset.reset": "earliest",
    "enable.partition.eof": True,
    "isolation.level": "read_uncommitted",
    "allow.auto.create.topics": False,
    # one record is wanted, not the usual megabyte of them
    "max.partition.fetch.bytes": 65_536,
    "fetch.wait.max.ms": 100,
}


def first_records(
    settings: Settings, places: Mapping[Place, int], timeout: float, clock: Clock
) -> dict[Place, Record | None]:
    """Read the first record at or after an offset, for each partition.

    Args:
        settings: how to connect.
        places: an offset by topic and partition.
        timeout: seconds for all of them together.
        clock: for the deadline.

    Returns:
        as `connectors.kafka.offsets.Offsets.records_at` promises.

    Raises:
        ConfigurationError: `kafka.security` holds an option that the client refuses.
    """
    if not places:
        return {}
    probe = opened(Consumer, settings, **_OPTIONS)
    asked: list[TopicPartition] = []
    for place, offset in places.items():
        asked.append(TopicPartition(*place, offset))
    try:
        # Assigned and never subscribed: it can join no group and disturb none.
        probe.assign(asked)
        return _collect(probe, set(places), clock.monotonic() + timeout, clock)
    finally:
        probe.close()


def _collect(
    probe: Consumer, wanted: set[Place], deadline: float, clock: Clock
) -> dict[Place, Record | None]:
    found: dict[Place, Record | None] = {}
    while len(found) < len(wanted):
        left = deadline - clock.monotonic()
        if left <= 0:
            break
        message = probe.poll(left)
        if message is None:
            continue
        place = cast("Place", (message.topic(), message.partition()))
        problem = message.error()
        at_end = problem is not None and problem.name() == "_PARTITION_EOF"
        if place not in wanted or place in found or (problem is not None and not at_end):
            continue
        found[place] = None if at_end else _record(place, message)
        # What else this log holds would only delay the records of other partitions.
        probe.incremental_unassign([TopicPartition(*place)])
    return found


def _record(place: Place, message: Message) -> Record:
    kind, milliseconds = message.timestamp()
    return Record(
        topic=place[0],
        partition=place[1],
        offset=cast("int", message.offset()),
        key=message.key(),
        value=message.value(),
        timestamp_ms=milliseconds if kind else None,  # kind 0: the record has none
    )
