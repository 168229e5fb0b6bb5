"""Records that leave the pipeline, each acknowledged by the broker before the call
returns.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

import structlog
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from connectors.kafka import client, rights, security
from connectors.kafka.rights import Right
from schemas.errors import TransientError, VectrueError
from schemas.messages import dead_letter
from schemas.messages.chunk import Chunk
from schemas.messages.dead_letter import Failure
from schemas.messages.record import Header, Record
from schemas.rows.target import Target
from schemas.settings.reading import Settings

log = structlog.get_logger()

_DELIVERY_SECONDS = 30
"""How long one send may take, all retries of the client included. Longer than a
broker's restart (a few seconds).
"""

_SILENT = {"_MSG_TIMED_OUT", "_TIMED_OUT", "_TIMED_OUT_QUEUE", "_TRANSPORT", "_ALL_BROKERS_DOWN"}
"""Errors of a send that do not say what is wrong: it has to be looked for."""
_TOO_LARGE = {KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.INVALID_MSG_SIZE}


_Outgoing = tuple[str, bytes | None, bytes | None, Sequence[Header]]
"""Topic, key, value, headers."""


class RecordTooLarge(TransientError):
    """The record is larger than the client's limit, the topic's or the broker's."""


class KafkaOutbox:
    """`Outbox` of connectors.ports."""

    def __init__(self, settings: Settings, targets: Sequence[Target] = ()) -> None:
        """Open a producer. `targets` tell which key columns are numbers in a replay
        message.
        """
        self._settings = settings
        self._targets: Mapping[tuple[str, str], Target] = {}
        self.renew(targets)
        # The client's own limit of 1,000,000 bytes is below the broker's: what came in
        # there must get out again.
        size = settings.dead_letters.max_record_bytes
        options = {
            "acks": "all",
            "enable.idempotence": True,
            "linger.ms": 2,
            "message.max.bytes": size,
        }
        # A topic that is missing is told after 5 s; `init` makes the topics long before
        # anything is sent.
        limit = {
            "message.timeout.ms": _DELIVERY_SECONDS * 1000,
            "topic.metadata.propagation.max.ms": 5000,
        }
        self._producer = client.opened(Producer, settings, **options, **limit)

    def renew(self, targets: Sequence[Target]) -> None:
        """From now on these tell which key columns are numbers."""
        self._targets = {(str(t.table), t.column): t for t in targets}

    def send_chunks(self, chunks: Sequence[Chunk]) -> None:
        """As the port says."""
        self._send(self._chunk_record(chunk) for chunk in chunks)

    def send_dead_letters(self, failures: Sequence[Failure]) -> None:
        """As the port says."""
        topic = self._settings.dead_letter_topic
        for failure in failures:
            where, reason = failure.record.position, str(failure.reason)
            log.warning(
                "event moved to the dead-letter topic", topic=topic, record=where, reason=reason
            )
        letters = [_letter(topic, failure) for failure in failures]
        try:
            self._send(letters)
        except RecordTooLarge:
            # One at a time, since nothing tells which. One that was sent already is one
            # entry all the same.
            for failure, letter in zip(failures, letters, strict=True):
                self._send_one(topic, failure, letter)

    def send_again(self, records: Sequence[Record]) -> list[int | str]:
        """Write records as they were to the partitions they were read from, and wait
        for each.

        Returns:
            for each its new offset, or why the broker did not take it.

        Raises:
            TransientError: the client failed as a whole; which of the records the
                broker has is not known.
            ConfigurationError: the same, since this user may write nowhere.
        """
        answers: list[int | KafkaError | str | None] = [None] * len(records)

        def note(i: int) -> Callable[[KafkaError | None, Message], None]:
            def delivered(error: KafkaError | None, message: Message) -> None:
                answers[i] = error if error is not None else int(message.offset() or 0)

            return delivered

        try:
            for i, record in enumerate(records):
                place = (record.topic, record.value, record.key, record.partition)
                try:
                    self._producer.produce(
                        *place, on_delivery=note(i), headers=list(record.headers)
                    )
                except (KafkaException, BufferError) as error:
                    if _fatal(error) is not None:
                        raise
                    answers[i] = error.args[0] if isinstance(error, KafkaException) else str(error)
            self._producer.flush(_DELIVERY_SECONDS + 5)
        except (KafkaException, SystemError) as error:
            raise self._failed(error, [record.topic for record in records]) from error
        return self._told(records, answers)

    def _told(
        self, records: Sequence[Record], answers: Sequence[int | KafkaError | str | None]
    ) -> list[int | str]:
        """Offsets as they are, and for each error its sentence; what is to be looked
        for is looked for once.
        """
        sentences: dict[tuple[str, str], str] = {}
        told: list[int | str] = []
        for record, answer in zip(records, answers, strict=True):
            if isinstance(answer, int | str):
                told.append(answer)
                continue
            cause = record.topic, "" if answer is None else answer.name()
            if cause not in sentences:
                sentences[cause] = str(self._refused(record.topic, answer))
            told.append(sentences[cause])
        return told

    def _refused(self, topic: str, problem: KafkaError | None) -> VectrueError:
        """What it means that no record was taken for a topic; without a problem, that
        there was no answer.
        """
        right = Right("topic", topic, "WRITE")
        what = f"Kafka at {self._settings.kafka.bootstrap_servers} took no record for topic {topic}"
        if problem is not None and problem.code() in _TOO_LARGE:
            fix = "raise dead_letters.max_record_bytes, and max.message.bytes of the topic"
            return RecordTooLarge(f"{what} ({security.reason(problem)})", fix=fix)
        if problem is None or problem.name() in _SILENT:
            why = "no answer" if problem is None else security.reason(problem)
            return client.look(self._settings, right) or TransientError(
                f"{what} ({why})", fix="run it again"
            )
        error = client.error_of(self._settings, problem, right, what)
        # Somebody may make the topic: so it is tried again, as long as everything is.
        return TransientError(error.message, fix=error.fix) if client.is_missing(problem) else error

    def _failed(self, error: BaseException, topics: Iterable[str]) -> VectrueError:
        """What an error means that the client raised out of a call, rather than as the
        answer to one record.
        """
        fatal, names = _fatal(error), sorted(set(topics))
        if fatal is not None and client.is_denied(fatal):
            return rights.refusal(self._settings, [Right("topic", name, "WRITE") for name in names])
        problem = error.args[0] if fatal is None and isinstance(error, KafkaException) else fatal
        if problem is not None and len(names) == 1:
            return self._refused(names[0], problem)
        where = f"Kafka at {self._settings.kafka.bootstrap_servers}"
        why = error if fatal is None else security.reason(fatal)
        return TransientError(
            f"{where} took no record for topic {', '.join(names)} ({why})", fix="run it again"
        )

    def _chunk_record(self, chunk: Chunk) -> _Outgoing:
        value = chunk.encode(self._targets.get((str(chunk.table), chunk.column)))
        if chunk.run is not None:
            return self._settings.replay_topic, f"{chunk.run}/{chunk.number}".encode(), value, []
        # Not the row's key itself: with a long one in key and value the record would be
        # too large.
        row = dead_letter.row_id(str(chunk.table), chunk.column, chunk.keys[0])
        return self._settings.deferred_topic, row.encode(), value, []

    def _send_one(self, topic: str, failure: Failure, letter: _Outgoing) -> None:
        """A dead letter; of an event that is too large for one, its place alone: no
        event stops its lane for ever.
        """
        try:
            self._send([letter])
        except RecordTooLarge:
            headers = dead_letter.without_content(
                failure.record, failure.reason, stage=failure.stage
            )
            self._send([(topic, None, None, headers)])

    def _send(self, records: Iterable[_Outgoing]) -> None:
        failures: list[KafkaError] = []

        def delivered(error: KafkaError | None, _: Message) -> None:
            if error is not None:
                failures.append(error)

        topic = ""
        try:
            for topic, key, value, headers in records:
                self._producer.produce(
                    topic, value, key, headers=list(headers), on_delivery=delivered
                )
            left = self._producer.flush(_DELIVERY_SECONDS + 5)
        except (KafkaException, BufferError, SystemError) as error:
            raise self._failed(error, [topic]) from error
        if failures or left:
            denied = next((failure for failure in failures if client.is_denied(failure)), None)
            raise self._refused(topic, denied or next(iter(failures), None))


def _letter(topic: str, failure: Failure) -> _Outgoing:
    record = failure.record
    return (
        topic,
        record.key,
        record.value,
        dead_letter.headers(record, failure.reason, stage=failure.stage),
    )


def _fatal(error: BaseException) -> KafkaError | None:
    """The error after which a producer is of no more use, for one: its user may write
    nowhere.

    The client raises it out of whichever callback comes next, so that it arrives as the
    cause of a SystemError.
    """
    if isinstance(error, SystemError):
        if not isinstance(error.__cause__, KafkaException):
            raise error
        error = error.__cause__
    reason = error.args[0] if isinstance(error, KafkaException) else None
    return reason if isinstance(reason, KafkaError) and reason.fatal() else None
