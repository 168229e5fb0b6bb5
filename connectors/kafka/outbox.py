"""Records that leave the pipeline, each acknowledged by the broker before the call returns."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import structlog
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from connectors.kafka import rights
from connectors.kafka.rights import Right
from schemas import dead_letter
from schemas.chunk import Chunk
from schemas.dead_letter import Failure
from schemas.errors import ConfigurationError, EmbedsyncError, TransientError
from schemas.record import Header, Record
from schemas.settings import Settings
from schemas.target import Target

log = structlog.get_logger()

_DELIVERY_SECONDS = 30
"""How long one send may take, all retries of the client included. Longer than a broker's restart (a few seconds)."""

_DENIED = {KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.CLUSTER_AUTHORIZATION_FAILED}


_FIX = (
    "check kafka.bootstrap_servers, that `embedsync init` created the topic, and for a record that is too large "
    "dead_letters.max_record_bytes"
)


def client_config(settings: Settings, **more: object) -> dict[str, Any]:
    """Options that every confluent-kafka client of ours gets."""
    return {
        "bootstrap.servers": settings.kafka.bootstrap_servers,
        "client.id": "embedsync",
        "log_level": 2,  # no line on stderr per failed attempt: errors reach us as exceptions
        **settings.kafka.security,
        **more,
    }


_Outgoing = tuple[str, bytes | None, bytes | None, Sequence[Header]]
"""Topic, key, value, headers."""


class KafkaOutbox:
    """`Outbox` of connectors.ports."""

    def __init__(self, settings: Settings, targets: Sequence[Target] = ()) -> None:
        """Open a producer. `targets` tell which key columns are numbers in a replay message."""
        self._settings = settings
        self._targets: Mapping[tuple[str, str], Target] = {}
        self.renew(targets)
        # The client's own limit of 1,000,000 bytes is below the broker's: what came in there must get out again.
        size = settings.dead_letters.max_record_bytes
        options = {"acks": "all", "enable.idempotence": True, "linger.ms": 2, "message.max.bytes": size}
        # A topic that is missing is told after 5 s; `init` makes the topics long before anything is sent.
        limit = {"message.timeout.ms": _DELIVERY_SECONDS * 1000, "topic.metadata.propagation.max.ms": 5000}
        try:
            self._producer = Producer(client_config(settings, **options, **limit))
        except KafkaException as error:
            raise ConfigurationError(
                f"kafka.security holds an option that the Kafka client refuses ({error.args[0].str()})",
                fix="correct kafka.security",
            ) from error

    def renew(self, targets: Sequence[Target]) -> None:
        """From now on these tell which key columns are numbers."""
        self._targets = {(str(t.table), t.column): t for t in targets}

    def send_chunks(self, chunks: Sequence[Chunk]) -> None:
        """As the port says."""
        self._send(self._chunk_record(chunk) for chunk in chunks)

    def send_dead_letters(self, failures: Sequence[Failure]) -> None:
        """As the port says."""
        topic = self._settings.dead_letter_topic
        records: list[_Outgoing] = []
        for failure in failures:
            record, reason = failure.record, failure.reason
            log.warning("event moved to the dead-letter topic", topic=topic, record=record.position, reason=str(reason))
            records.append((topic, record.key, record.value, dead_letter.headers(record, reason, stage=failure.stage)))
        self._send(records)

    def send_again(self, records: Sequence[Record]) -> list[int | str]:
        """Write records as they were to the partitions they were read from, and wait for each.

        Returns:
            for each its new offset, or why the broker did not take it.

        Raises:
            TransientError: the client failed as a whole; which of the records the broker has is not known.
            ConfigurationError: the same, since this user may write nowhere.
        """
        answers: list[int | str] = ["no answer from the broker"] * len(records)

        def note(i: int) -> Callable[[KafkaError | None, Message], None]:
            def delivered(error: KafkaError | None, message: Message) -> None:
                answers[i] = self._why(records[i].topic, error) if error is not None else int(message.offset() or 0)

            return delivered

        try:
            for i, record in enumerate(records):
                place = (record.topic, record.value, record.key, record.partition)
                try:
                    self._producer.produce(*place, on_delivery=note(i), headers=list(record.headers))
                except (KafkaException, BufferError) as error:
                    if _fatal(error) is not None:
                        raise
                    answers[i] = str(error)
            self._producer.flush(_DELIVERY_SECONDS + 5)
        except (KafkaException, SystemError) as error:
            raise self._failed(error, [record.topic for record in records]) from error
        return answers

    def _why(self, topic: str, error: KafkaError) -> str:
        """What the broker says about a record; for a right that is missing, which one and how it is granted."""
        if error.code() in _DENIED:
            return str(rights.refusal(self._settings, [Right("topic", topic, "WRITE")]))
        return error.str()

    def _failed(self, error: BaseException, topics: Iterable[str]) -> EmbedsyncError:
        """What an error means that the client raised out of a call, rather than as the answer to one record."""
        fatal, names = _fatal(error), sorted(set(topics))
        if fatal is not None and fatal.code() in _DENIED:
            return rights.refusal(self._settings, [Right("topic", name, "WRITE") for name in names])
        why = error if fatal is None else fatal.str()
        where = f"Kafka at {self._settings.kafka.bootstrap_servers}"
        return TransientError(f"{where} took no record for topic {', '.join(names)} ({why})", fix=_FIX)

    def _chunk_record(self, chunk: Chunk) -> _Outgoing:
        value = chunk.encode(self._targets.get((str(chunk.table), chunk.column)))
        if chunk.run is not None:
            return self._settings.replay_topic, f"{chunk.run}/{chunk.number}".encode(), value, []
        # Not the row's key itself: with a long one in key and value the record would be too large.
        row = dead_letter.row_id(str(chunk.table), chunk.column, chunk.keys[0])
        return self._settings.deferred_topic, row.encode(), value, []

    def _send(self, records: Iterable[_Outgoing]) -> None:
        failures: list[KafkaError] = []

        def delivered(error: KafkaError | None, _: Message) -> None:
            if error is not None:
                failures.append(error)

        topic = ""
        try:
            for topic, key, value, headers in records:
                self._producer.produce(topic, value, key, headers=list(headers), on_delivery=delivered)
            left = self._producer.flush(_DELIVERY_SECONDS + 5)
        except (KafkaException, BufferError, SystemError) as error:
            raise self._failed(error, [topic]) from error
        if any(failure.code() in _DENIED for failure in failures):
            raise rights.refusal(self._settings, [Right("topic", topic, "WRITE")])
        if failures or left:
            why = failures[0].str() if failures else f"{left} records without an answer"
            raise TransientError(
                f"Kafka at {self._settings.kafka.bootstrap_servers} took no record for topic {topic} ({why})",
                fix=_FIX,
            )


def _fatal(error: BaseException) -> KafkaError | None:
    """The error after which a producer is of no more use, for one: its user may write nowhere.

    The client raises it out of whichever callback comes next, so that it arrives as the cause of a SystemError.
    """
    if isinstance(error, SystemError):
        if not isinstance(error.__cause__, KafkaException):
            raise error
        error = error.__cause__
    reason = error.args[0] if isinstance(error, KafkaException) else None
    return reason if isinstance(reason, KafkaError) and reason.fatal() else None
