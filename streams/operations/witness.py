"""How far the canary came outside Postgres, checked only if it has not come back.

Hazard: what Kafka does not answer is unknown.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from connectors.kafka.offsets import KafkaOffsets, Offsets
from connectors.kafka.probe import Place
from connectors.ports import Clock
from connectors.postgres.health import witness
from connectors.postgres.session import Session
from schemas.errors import PoisonEvent, TransientError, VectrueError
from schemas.health import canary
from schemas.health.lag import PartitionLag
from schemas.health.witness import Canary, Transit, Witness
from schemas.messages import change
from schemas.messages.record import Record
from schemas.settings.reading import Settings

PROBE_SECONDS = 3.0


def examine(session: Session, settings: Settings, clock: Clock) -> Witness:
    """Read the witness, with Kafka's side if the canary has not come back.

    Raises:
        ConfigurationError: Kafka refuses the connection, or a setting can never work.
    """
    return with_transit(witness.read(session, settings), settings, clock)


def with_transit(seen: Witness, settings: Settings, clock: Clock) -> Witness:
    """Return what was seen, with Kafka's side if the canary has not come back.

    Raises:
        ConfigurationError: as `examine`.
    """
    if seen.canary.is_fresh or seen.canary.error is not None:
        return seen
    offsets = KafkaOffsets(settings, clock)
    try:
        found = _asked(settings, offsets, seen.canary)
    finally:
        offsets.close()
    return replace(seen, canary=replace(seen.canary, transit=found))


def _asked(settings: Settings, offsets: Offsets, seen: Canary) -> Transit:
    try:
        group = offsets.read({settings.live_group: [settings.canary_topic]})[settings.live_group]
        return transit(offsets, group.members, group.partitions[0], seen.now)
    except VectrueError as error:
        return Transit(error=str(error))


def transit(
    offsets: Offsets, members: int | None, row: PartitionLag, now: datetime | None
) -> Transit:
    """Read the newest record of the canary's topic, and the first that waits.

    Args:
        offsets: where to ask.
        members: of the live group; None when unknown.
        row: the canary's partition as the live group sees it.
        now: the database's time; None when unknown.

    Raises:
        TransientError, ConfigurationError: Kafka does not answer.
    """
    if (
        row.error is not None
        or row.partition is None
        or row.log_end_offset is None
        or row.waiting is None
    ):
        return Transit(members, error=row.error or f"{row.topic} has no partition")
    place: Place = (row.topic, row.partition)
    # The topic may be new, or all of it may have expired.
    empty = row.log_end_offset <= (row.log_start_offset or 0)
    newest = None if empty else _committed_at(offsets, place, row.log_end_offset - 1)
    if not row.waiting:
        return Transit(members, newest, 0.0)
    oldest = None
    if row.next_offset is not None:
        oldest = _committed_at(offsets, place, row.next_offset)
    return Transit(members, newest, _age(oldest, now))


def _committed_at(offsets: Offsets, place: Place, offset: int) -> datetime | None:
    found: Mapping[Place, Record | None] = offsets.records_at(
        {place: offset}, timeout=PROBE_SECONDS
    )
    # No answer must not be taken for "no record".
    if place not in found:
        raise TransientError(
            f"the newest record of {place[0]} could not be read within {PROBE_SECONDS:g} s"
        )
    record = found[place]
    if record is None:
        return None
    try:
        event = change.parse(record.key, record.value)
    except PoisonEvent:
        event = None
    if event is not None and event.table == canary.TABLE:
        return event.committed_at
    return change.appended_at(record)


def _age(moment: datetime | None, now: datetime | None) -> float | None:
    if moment is None or now is None:
        return None
    # Never negative: the record may be newer than the database's time was read.
    return max(0.0, (now - moment).total_seconds())
