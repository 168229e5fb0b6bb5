"""What vectrue.topics remembers: ids of topics, and how far their events are handled.

Hazard: `handled` never goes back for one topic, whatever a group's offsets do: an event
that was handled once stays handled. Where it does go back, the database lost what it
had confirmed.
"""

import functools
from collections.abc import Callable, Mapping, Sequence

from connectors.postgres import locks, queries
from connectors.postgres.session import Session
from schemas.health.anomalies import Noted, Place


class TopicNotes:
    """Reads and writes the notes of one installation, over one connection."""

    def __init__(self, session: Session, prefix: str) -> None:
        self._session = session
        self._prefix = prefix

    def noted(self, topics: Sequence[str]) -> dict[str, Noted]:
        """What is remembered of these topics; one that is not known is left out.

        Raises:
            TransientError: Postgres does not answer.
            ConfigurationError: the schema is older than this program.
        """
        lines = self._session.rows(
            queries.text("noted_topics"), {"prefix": self._prefix, "topics": list(topics)}
        )
        ids: dict[str, str] = {}
        handled: dict[str, dict[int, int]] = {}
        for topic, partition, topic_id, offset in lines:
            ids[topic] = topic_id
            handled.setdefault(topic, {})
            # None: of this partition nothing was handled yet.
            if offset is not None:
                handled[topic][partition] = offset
        found: dict[str, Noted] = {}
        for topic, topic_id in ids.items():
            found[topic] = Noted(topic_id, handled[topic])
        return found

    def remember(self, topic: str, topic_id: str, handled: Mapping[int, int | None]) -> None:
        """Note what a topic is now, and how far each partition is handled.

        Raises as `noted`.
        """
        asked = {"prefix": self._prefix, "topic": topic, "topic_id": topic_id}
        values = {"partitions": list(handled), "handled": list(handled.values())}
        self._session.rows(queries.text("remember_topic"), asked | values)

    def handled(self, offsets: Mapping[Place, int], ids: Mapping[str, str]) -> None:
        """Note that all events before these offsets are handled. Raises as `noted`.

        Args:
            offsets: the next offset to handle, by partition.
            ids: the ids that the topics had when they were read from.
        """
        topics: list[str] = []
        partitions: list[int] = []
        for topic, partition in offsets:
            topics.append(topic)
            partitions.append(partition)
        values = {
            "prefix": self._prefix,
            "topics": topics,
            "partitions": partitions,
            "ids": [ids.get(topic, "") for topic in topics],
            "handled": list(offsets.values()),
        }
        self._session.rows(queries.text("note_handled"), values)

    def lock(self, role: str) -> Callable[[], None] | None:
        """Take the lock that lets one worker of a role begin at a time.

        It ends with the session at the latest.

        Returns:
            what gives it back; None while another worker holds it.

        Raises:
            TransientError: Postgres does not answer.
        """
        name = f"topics {self._prefix} {role}"
        if not locks.take(self._session, name):
            return None
        return functools.partial(locks.give_back, self._session, name)
