"""Topics, group and notes at one time, and where they are read from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from schemas.health import anomalies
from schemas.health.anomalies import Anomaly, Noted, Place
from schemas.health.lag import GroupLag, PartitionLag


class GroupOffsets(Protocol):
    """The part of `connectors.kafka.offsets.KafkaOffsets` that is needed here."""

    def topic_ids(self, topics: Sequence[str]) -> Mapping[str, str | None]:
        """Return the ids of topics; None for one that is missing."""
        ...

    def read(self, groups: Mapping[str, Sequence[str]]) -> Mapping[str, GroupLag]:
        """Return how far groups have come, by their ids."""
        ...

    def set_offsets(self, group: str, offsets: Mapping[Place, int]) -> None:
        """Commit offsets for a group without members."""
        ...


class TopicNoteStore(Protocol):
    """The part of `connectors.postgres.health.topic_notes.TopicNotes` needed here."""

    def noted(self, topics: Sequence[str]) -> Mapping[str, Noted]:
        """Return what is noted of topics."""
        ...

    def remember(self, topic: str, topic_id: str, handled: Mapping[int, int | None]) -> None:
        """Note what a topic is now, and up to where each partition was handled."""
        ...


@dataclass(frozen=True, slots=True)
class TopicState:
    """Topics, group and notes at one time."""

    ids: Mapping[str, str | None]
    group: GroupLag
    noted: Mapping[str, Noted]

    def rows(self, topic: str) -> list[PartitionLag]:
        """Return the known partitions of a topic."""
        return [
            row for row in self.group.partitions if row.topic == topic and row.partition is not None
        ]

    @property
    def existing(self) -> dict[str, str]:
        """The topics that exist, with their ids."""
        ids = self.ids.items()
        return {topic: topic_id for topic, topic_id in ids if topic_id is not None}

    def anomalies(self) -> list[Anomaly]:
        """Find what happened to the topics since they were noted."""
        found: list[Anomaly] = []
        for topic, topic_id in self.existing.items():
            noted = self.noted.get(topic)
            found += anomalies.of_topic(topic, topic_id, self.rows(topic), noted)
        return found
