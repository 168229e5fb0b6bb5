"""Where a dead letter may be sent, and what becomes of errors of the client that sends
it.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from connectors.kafka.outbox import KafkaOutbox
from schemas.errors import ConfigurationError, PoisonEvent, TransientError
from schemas.messages.dead_letter import Entry, Failure
from schemas.messages.record import Record
from schemas.settings.reading import load
from streams.dead_letters.redrive import refusal

SETTINGS = load(
    kafka={"topic_prefix": "t", "bootstrap_servers": "127.0.0.1:9"},
    tables=[{"name": "public.posts", "text": "title"}],
)
RECORD = Record("t.public.posts", 0, 5, b"k", b"v")


def entry(topic: str | None, kind: Any = "event") -> Entry:
    return Entry(
        "id", kind, None, None, None, "", "PoisonEvent", "decode", 1, None, None, topic=topic
    )


@pytest.mark.parametrize("topic", ["t.public.posts", "t.deferred", "t.replay", "t.vectrue.canary"])
def test_what_is_read_is_sent_to(topic: str) -> None:
    """Every topic that a worker of this installation reads."""
    assert refusal(SETTINGS, entry(topic)) is None


@pytest.mark.parametrize(
    "topic",
    [
        "payments.orders",
        "t.public.other",
        "t.dlq",
        "u.public.posts",
        "__consumer_offsets",
        "t.public.posts2",
    ],
)
def test_what_nothing_reads_is_named_and_not_written_to(topic: str) -> None:
    """Whatever a letter's header says: anybody may have written the letter (F3)."""
    assert f"names topic {topic}, which nothing reads" in str(refusal(SETTINGS, entry(topic)))


def test_a_letter_without_its_event_is_not_sent() -> None:
    """It says where the event still stands."""
    bare = replace(entry("t.public.posts"), is_bare=True)
    assert "too large for a dead letter: it is at id" in str(refusal(SETTINGS, bare))


def test_a_letter_that_names_no_place_is_not_sent() -> None:
    """There is nowhere to send it; rows are not sent to a topic of their letter's at
    all.
    """
    assert refusal(SETTINGS, entry(None)) == "the dead letter does not say where it came from"
    assert refusal(SETTINGS, entry(None, "row")) is None


class Client:
    """A producer that fails in a call."""

    def __init__(
        self,
        produce: BaseException | None = None,
        flush: BaseException | None = None,
        *,
        most: int = 1_000,
    ) -> None:
        self._produce = produce
        self._flush = flush
        self._most = most
        self.sent: list[tuple[object, object]] = []

    def produce(
        self, _: str, value: bytes | None, key: bytes | None, *__: object, **___: object
    ) -> None:
        if self._produce:
            raise self._produce
        if len(value or b"") > self._most:
            raise KafkaException(KafkaError(KafkaError.MSG_SIZE_TOO_LARGE, "too large"))
        self.sent.append((key, value))

    def flush(self, _: float) -> int:
        if self._flush:
            raise self._flush
        return 0


def raised_in_a_callback(error: KafkaException) -> SystemError:
    """How the client tells of an error that its own callback raised."""
    wrapped = SystemError("returned a result with an exception set")
    wrapped.__cause__ = error
    return wrapped


DENIED = KafkaException(
    KafkaError(KafkaError.CLUSTER_AUTHORIZATION_FAILED, "not allowed", fatal=True)
)
FATAL = KafkaException(
    KafkaError(KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER, "lost its place", fatal=True)
)
PASSING = KafkaException(KafkaError(KafkaError._ALL_BROKERS_DOWN, "all brokers are down"))


def sends(outbox: KafkaOutbox) -> list[Callable[[], object]]:
    return [
        lambda: outbox.send_again([RECORD]),
        lambda: outbox._send([("t.public.posts", b"v", b"k", [])]),
    ]


@pytest.mark.parametrize(
    ("client", "error", "words"),
    [
        (Client(produce=DENIED), ConfigurationError, "WRITE on topic t.public.posts"),
        (
            Client(produce=raised_in_a_callback(DENIED)),
            ConfigurationError,
            "WRITE on topic t.public.posts",
        ),
        (Client(flush=raised_in_a_callback(DENIED)), ConfigurationError, "kafka-acls"),
        (Client(produce=FATAL), TransientError, "lost its place"),
        (
            Client(flush=raised_in_a_callback(FATAL)),
            TransientError,
            "took no record for topic t.public.posts",
        ),
        (
            Client(flush=raised_in_a_callback(PASSING)),
            TransientError,
            "took no record for topic t.public.posts",
        ),
    ],
)
@pytest.mark.parametrize("which", [0, 1])
def test_an_error_of_the_client_is_one_of_ours(
    client: Client, error: type[Exception], words: str, which: int
) -> None:
    """Sent again or sent for the first time: one sentence with the topic and what to
    do, and never a traceback.
    """
    outbox = KafkaOutbox(SETTINGS)
    outbox._producer = client  # type: ignore[assignment]  # fails on purpose
    with pytest.raises(error, match=words):
        sends(outbox)[which]()


def test_a_record_that_the_client_refuses_has_its_answer() -> None:
    """The others go on: a partition that is not there, for one."""
    outbox = KafkaOutbox(SETTINGS)
    refused = KafkaException(KafkaError(KafkaError._UNKNOWN_PARTITION, "no such partition"))
    outbox._producer = Client(produce=refused)  # type: ignore[assignment]  # likewise
    (answer,) = outbox.send_again([RECORD])
    assert "no such partition" in str(answer)


def test_an_event_that_no_record_can_hold_stops_nobody() -> None:
    """One that was compressed in its topic may be larger than any letter: the others
    keep theirs.
    """
    outbox, client = KafkaOutbox(SETTINGS), Client()
    outbox._producer = client  # type: ignore[assignment]  # a twin of what is used
    large = Record("t.public.posts", 0, 6, b"k2", b"v" * 2_000)
    outbox.send_dead_letters(
        [Failure(record, PoisonEvent("bad"), "decode") for record in (RECORD, large)]
    )
    assert client.sent[-2:] == [(b"k", b"v"), (None, None)]


def test_bugs_of_a_callback_are_not_hidden() -> None:
    """A SystemError with another cause is no word of Kafka's."""
    outbox = KafkaOutbox(SETTINGS)
    outbox._producer = Client(flush=SystemError("a bug"))  # type: ignore[assignment]  # likewise
    with pytest.raises(SystemError, match="a bug"):
        outbox.send_again([RECORD])
