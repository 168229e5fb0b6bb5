"""Records that leave the pipeline, acknowledged by the broker before a call returns.

Hazard: after a fatal error a producer is of no more use; the client raises it out of
whichever callback comes next.
"""

from collections.abc import Iterable, Mapping, Sequence

import structlog
from confluent_kafka import KafkaError, KafkaException, Message, Producer
from typing_extensions import override

from connectors.kafka import client, errors
from connectors.kafka.rights import Right
from connectors.ports import Outbox
from schemas.errors import TransientError, VectrueError
from schemas.messages import dead_letter
from schemas.messages.chunk import Chunk, DeferredRow
from schemas.messages.dead_letter import Failure
from schemas.messages.record import Header, Record
from schemas.rows.table import TableName
from schemas.rows.target import KeyColumn, Target
from schemas.settings.reading import Settings

log = structlog.get_logger()

_DELIVERY_SECONDS = 30
"""How long one send may take, all retries of the client included.

Longer than a broker's restart (a few seconds).
"""

_SILENT = {"_MSG_TIMED_OUT", "_TIMED_OUT", "_TIMED_OUT_QUEUE", "_TRANSPORT", "_ALL_BROKERS_DOWN"}
"""Errors of a send that do not say what is wrong: it has to be looked for."""
_TOO_LARGE = {KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.INVALID_MSG_SIZE}

_Outgoing = tuple[str, bytes | None, bytes | None, Sequence[Header]]
"""Topic, key, value, headers."""
_Answer = int | KafkaError | str | None
"""What became of a record: its offset, an error, words of the client, or no answer."""


class RecordTooLarge(TransientError):
    """The record is larger than the client's limit, the topic's or the broker's."""


class KafkaOutbox(Outbox):
    """`Outbox` over a real broker."""

    def __init__(self, settings: Settings, targets: Sequence[Target] = ()) -> None:
        """Open a producer.

        Args:
            settings: how to connect; the limit of a record.
            targets: tell which key columns are numbers in a replay message.

        Raises:
            ConfigurationError: `kafka.security` holds an option that the client refuses.
        """
        self._settings = settings
        self._targets: Mapping[tuple[str, str], Target] = {}
        self.renew(targets)
        options = {
            "acks": "all",
            "enable.idempotence": True,
            "linger.ms": 2,
            # The client's own limit of 1,000,000 bytes is below the broker's: what came
            # in there must get out again.
            "message.max.bytes": settings.dead_letters.max_record_bytes,
            "message.timeout.ms": _DELIVERY_SECONDS * 1000,
            # A topic that is missing is reported after 5 s; `init` makes the topics long
            # before anything is sent.
            "topic.metadata.propagation.max.ms": 5000,
        }
        self._producer = client.opened(Producer, settings, **options)

    def renew(self, targets: Sequence[Target]) -> None:
        """From now on these tell which key columns are numbers."""
        found: dict[tuple[str, str], Target] = {}
        for target in targets:
            found[str(target.table), target.column] = target
        self._targets = found

    @override
    def send_chunks(self, chunks: Sequence[Chunk]) -> None:
        self._send(self._chunk_record(chunk) for chunk in chunks)

    @override
    def send_deferred(self, rows: Sequence[DeferredRow]) -> None:
        self._send(self._deferred_record(row) for row in rows)

    @override
    def send_dead_letters(self, failures: Sequence[Failure]) -> None:
        topic = self._settings.dead_letter_topic
        for failure in failures:
            log.warning(
                "event moved to the dead-letter topic",
                topic=topic,
                record=failure.record.position,
                reason=str(failure.reason),
            )
        letters = [_letter(topic, failure) for failure in failures]
        try:
            self._send(letters)
        except RecordTooLarge:
            # One at a time, since nothing tells which is too large. One that was sent
            # already is one entry all the same.
            for failure, letter in zip(failures, letters, strict=True):
                self._send_one(topic, failure, letter)

    def send_again(self, records: Sequence[Record]) -> list[int | str]:
        """Write records as they were to the partitions they were read from.

        Returns:
            for each its new offset, or why the broker did not take it.

        Raises:
            TransientError: the client failed as a whole; which of the records the
                broker has is not known.
            ConfigurationError: the same, since this user may write nowhere.
        """
        answers: list[_Answer] = [None] * len(records)
        try:
            for i, record in enumerate(records):
                self._produce_again(record, answers, i)
            self._producer.flush(_DELIVERY_SECONDS + 5)
        except (KafkaException, SystemError) as error:
            raise self._failed(error, [record.topic for record in records]) from error
        return self._told(records, answers)

    def _produce_again(self, record: Record, answers: list[_Answer], i: int) -> None:
        """Send a record; what becomes of it is noted in `answers`, later."""

        def delivered(error: KafkaError | None, message: Message) -> None:
            answers[i] = error if error is not None else int(message.offset() or 0)

        try:
            self._producer.produce(
                record.topic,
                record.value,
                record.key,
                record.partition,
                on_delivery=delivered,
                headers=list(record.headers),
            )
        except KafkaException as error:
            if _fatal(error) is not None:
                raise
            answers[i] = error.args[0]
        except BufferError as error:
            answers[i] = str(error)

    def _told(self, records: Sequence[Record], answers: Sequence[_Answer]) -> list[int | str]:
        """Offsets as they are, and a sentence for each error."""
        sentences: dict[tuple[str, str], str] = {}
        told: list[int | str] = []
        for record, answer in zip(records, answers, strict=True):
            if isinstance(answer, int | str):
                told.append(answer)
                continue
            # A cause that has to be looked for is looked for once.
            cause = (record.topic, "" if answer is None else answer.name())
            if cause not in sentences:
                sentences[cause] = str(self._refused(record.topic, answer))
            told.append(sentences[cause])
        return told

    def _refused(self, topic: str, problem: KafkaError | None) -> VectrueError:
        """What it means that no record was taken for a topic.

        Without a problem there was no answer.
        """
        right = Right("topic", topic, "WRITE")
        what = f"Kafka at {self._settings.kafka.bootstrap_servers} took no record for topic {topic}"
        if problem is not None and problem.code() in _TOO_LARGE:
            return RecordTooLarge(
                f"{what} ({errors.reason(problem)})",
                fix="raise dead_letters.max_record_bytes, and max.message.bytes of the topic",
            )
        if problem is None or problem.name() in _SILENT:
            why = "no answer" if problem is None else errors.reason(problem)
            seen = client.look(self._settings, right)
            return seen or TransientError(f"{what} ({why})", fix="run it again")
        error = errors.error_of(self._settings, problem, right, what)
        # Someone may make the topic: so sending is retried as long as everything is.
        if errors.is_missing(problem):
            return TransientError(error.message, fix=error.fix)
        return error

    def _failed(self, error: BaseException, topics: Iterable[str]) -> VectrueError:
        """What an error means that the client raised out of a call.

        It is not the answer to one record.
        """
        fatal, names = _fatal(error), sorted(set(topics))
        if fatal is not None and errors.is_denied(fatal):
            lacking = [Right("topic", name, "WRITE") for name in names]
            return errors.permission_denied(self._settings, lacking)
        problem = fatal
        if problem is None and isinstance(error, KafkaException):
            problem = error.args[0]
        if problem is not None and len(names) == 1:
            return self._refused(names[0], problem)
        where = f"Kafka at {self._settings.kafka.bootstrap_servers}"
        why = error if fatal is None else errors.reason(fatal)
        return TransientError(
            f"{where} took no record for topic {', '.join(names)} ({why})",
            fix="run it again",
        )

    def _chunk_record(self, chunk: Chunk) -> _Outgoing:
        value = chunk.encode(self._key(chunk.table, chunk.column))
        return self._settings.replay_topic, f"{chunk.run}/{chunk.number}".encode(), value, []

    def _deferred_record(self, row: DeferredRow) -> _Outgoing:
        value = row.encode(self._key(row.table, row.column))
        # Not the row's key itself: with a long one in key and value the record would be
        # too large.
        name = dead_letter.row_id(str(row.table), row.column, row.key)
        return self._settings.deferred_topic, name.encode(), value, []

    def _key(self, table: TableName, column: str) -> Sequence[KeyColumn]:
        target = self._targets.get((str(table), column))
        return () if target is None else target.key

    def _send_one(self, topic: str, failure: Failure, letter: _Outgoing) -> None:
        """Send a dead letter; of an event that is too large for one, its place alone."""
        # Otherwise the event would stop its lane for ever.
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
            raise self._refused(topic, _worst(failures))


def _worst(failures: Sequence[KafkaError]) -> KafkaError | None:
    """A missing right where there is one, else the first; None without any."""
    for failure in failures:
        if errors.is_denied(failure):
            return failure
    return failures[0] if failures else None


def _letter(topic: str, failure: Failure) -> _Outgoing:
    record = failure.record
    headers = dead_letter.headers(record, failure.reason, stage=failure.stage)
    return topic, record.key, record.value, headers


def _fatal(error: BaseException) -> KafkaError | None:
    """The error after which a producer is of no more use; None for any other.

    For example, its user may write nowhere.
    """
    # Raised out of a callback, it arrives as the cause of a SystemError.
    if isinstance(error, SystemError):
        if not isinstance(error.__cause__, KafkaException):
            raise error
        error = error.__cause__
    reason = error.args[0] if isinstance(error, KafkaException) else None
    return reason if isinstance(reason, KafkaError) and reason.fatal() else None
