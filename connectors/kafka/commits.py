"""Offsets that groups committed, asked and set from outside.

Hazards:
- They are asked by a consumer that never subscribes, one per group, not by the admin
  client: with a coordinator that is still loading after a broker's restart,
  `list_consumer_group_offsets` ends the process with a segmentation fault (librdkafka
  2.16.0, rd_kafka_handle_OffsetFetch: it tells the client's group to look for the
  coordinator, and an admin client has no group).
- Isolation is read_uncommitted, as Faust's consumer has it: otherwise an open
  transaction looks like lag.
"""

from collections.abc import Mapping, Sequence

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from connectors.kafka import client, errors
from connectors.kafka.probe import Place
from connectors.kafka.rights import Right
from schemas.settings.reading import Settings

_NO_OFFSET = -1001  # librdkafka's RD_KAFKA_OFFSET_INVALID: nothing committed
_OPTIONS = {
    "enable.auto.commit": False,
    "isolation.level": "read_uncommitted",
    "allow.auto.create.topics": False,
}


class GroupCommits:
    """A consumer per group, each opened when it is needed. One thread."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._consumers: dict[str, Consumer] = {}

    def read(self, group: str, places: Sequence[Place], timeout: float) -> dict[Place, int | None]:
        """What a group committed.

        Args:
            group: its id.
            places: the partitions.
            timeout: seconds.

        Returns:
            the offset by partition, None where none is committed. A partition that
            could not be read is left out.

        Raises:
            KafkaException: the broker did not answer; the next call connects again.
        """
        asked = [TopicPartition(*place) for place in places]
        try:
            answers = self._consumer(group).committed(asked, timeout=timeout)
        except KafkaException:
            self._forget(group)
            raise
        found: dict[Place, int | None] = {}
        for answer in answers:
            if answer.error is None:
                offset = None if answer.offset == _NO_OFFSET else int(answer.offset)
                found[answer.topic, answer.partition] = offset
        return found

    def set(self, group: str, offsets: Mapping[Place, int]) -> None:
        """Commit offsets for a group that has no member.

        Raises:
            TransientError: the broker did not take them; while the group has a member
                it does not.
            ConfigurationError: this user has no right to it.
        """
        places = [TopicPartition(*place, offset) for place, offset in offsets.items()]
        refused: KafkaError | None
        try:
            answers = self._consumer(group).commit(offsets=places, asynchronous=False)
            refused = _first_error(answers or ())
        except KafkaException as error:
            refused = error.args[0]
        if refused is not None:
            self._forget(group)
            right = Right("group", group, "READ")
            what = f"the offsets of group {group} could not be set"
            raise errors.error_of(self._settings, refused, right, what)

    def close(self) -> None:
        """Give the connections back."""
        for group in list(self._consumers):
            self._forget(group)

    def _consumer(self, group: str) -> Consumer:
        # It never subscribes, so it is not a member of the group.
        if group not in self._consumers:
            options = {**_OPTIONS, "group.id": group}
            self._consumers[group] = client.opened(Consumer, self._settings, **options)
        return self._consumers[group]

    def _forget(self, group: str) -> None:
        consumer = self._consumers.pop(group, None)
        if consumer is not None:
            consumer.close()


def _first_error(answers: Sequence[TopicPartition]) -> KafkaError | None:
    for answer in answers:
        if answer.error is not None:
            return answer.error
    return None
