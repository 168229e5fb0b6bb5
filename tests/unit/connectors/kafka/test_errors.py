"""What may be wrong with Kafka has a sentence for each thing, wherever it is met:
sending, reading, asking.
"""

import re
from collections.abc import Callable
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from connectors.clock import SystemClock
from connectors.kafka import client, errors, probe, topics
from connectors.kafka.dead_letters import DeadLetterTopic
from connectors.kafka.offsets import KafkaOffsets
from connectors.kafka.outbox import KafkaOutbox
from connectors.kafka.rights import Right
from schemas.errors import ConfigurationError, PoisonEvent, TransientError, VectrueError
from schemas.messages.dead_letter import Failure
from schemas.messages.record import Record
from schemas.settings.reading import load

SETTINGS = load(
    kafka={"topic_prefix": "t", "bootstrap_servers": "127.0.0.1:1"},
    tables=[{"name": "public.posts", "text": "title"}],
)
BROKEN = load(kafka={"security": {"sasl.nonsense": "1", "sasl.password": "hush"}})
TOPIC = "t.dlq"
RECORD = Record(TOPIC, 0, 1, b"k", b"v")
TIMED_OUT = KafkaError(KafkaError._TIMED_OUT, "Local: Timed out")
LOGIN = KafkaError(KafkaError._AUTHENTICATION, "SASL authentication error: Authentication failed")
REFUSED = KafkaError(KafkaError._TRANSPORT, "Connect to 127.0.0.1:1 failed: Connection refused")
DOWN = KafkaError(KafkaError._ALL_BROKERS_DOWN, "1/1 brokers are down")

Case = tuple[KafkaError | None, list[KafkaError], bool]
"""What the request is answered with (None: it is answered), what is said on the side,
whether a leader is missing.
"""
CASES: dict[str, tuple[Case, type[VectrueError], str]] = {
    "not allowed": (
        (KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED), [], False),
        ConfigurationError,
        (
            rf"^permission denied by Kafka: this client lacks \w+ on topic {TOPIC}: "
            rf"kafka-acls .*--topic '{TOPIC}'"
        ),
    ),
    "not let in": (
        (TIMED_OUT, [LOGIN, DOWN], False),
        ConfigurationError,
        (
            r"^Kafka rejected the login to 127\.0\.0\.1:1 \(SASL authentication error.*\): "
            r"correct the user name, password and mechanism in kafka\.security$"
        ),
    ),
    "not there": (
        (KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART), [], False),
        VectrueError,
        rf"^topic {TOPIC} does not exist: run `vectrue init`$",
    ),
    "no leader": (
        (None, [], True),
        TransientError,
        rf"^topic {TOPIC} has no leader for partition 0: start .*kafka-topics .* --topic {TOPIC}",
    ),
    "no answer": (
        (TIMED_OUT, [REFUSED, DOWN], False),
        TransientError,
        r"127\.0\.0\.1:1 .*Connection refused\): check kafka\.bootstrap_servers",
    ),
}


class Broker:
    """All kinds of clients of a broker that answers in one way."""

    def __init__(self, case: Case) -> None:
        self._problem, self._said, self._leaderless = case
        self._options: dict[str, Any] = {}

    def __call__(self, options: dict[str, Any]) -> "Broker":
        self._options = options
        return self

    def poll(self, _: float) -> None:
        for problem in self._said:
            self._options["error_cb"](problem)

    def describe_topics(self, _: Any, **__: Any) -> dict[str, "Future[Any]"]:
        return {
            TOPIC: self._future(
                SimpleNamespace(partitions=[SimpleNamespace(id=0, leader=self._leader())])
            )
        }

    def delete_records(self, places: Any, **_: Any) -> dict[Any, "Future[Any]"]:
        return {places[0]: self._future(None)}

    def list_topics(self, *_: Any, **__: Any) -> Any:
        if self._problem is not None and self._problem.code() == KafkaError._TIMED_OUT:
            raise KafkaException(self._problem)
        partitions = {0: SimpleNamespace(leader=-1 if self._leaderless else 1)}
        return SimpleNamespace(
            topics={TOPIC: SimpleNamespace(error=self._problem, partitions=partitions)}
        )

    def get_watermark_offsets(self, *_: Any, **__: Any) -> tuple[int, int]:
        return 0, 1

    def close(self) -> None: ...

    def produce(self, *_: Any, on_delivery: Any, **__: Any) -> None:
        silent = self._problem is None or self._problem.code() == KafkaError._TIMED_OUT
        on_delivery(KafkaError(KafkaError._MSG_TIMED_OUT) if silent else self._problem, None)

    def flush(self, _: float) -> int:
        return 0

    def _leader(self) -> object:
        return None if self._leaderless else SimpleNamespace(id=1)

    def _future(self, result: object) -> "Future[Any]":
        future: Future[Any] = Future()
        if self._problem is None:
            future.set_result(result)
        else:
            future.set_exception(KafkaException(self._problem))
        return future


def _sent_again() -> None:
    (answer,) = KafkaOutbox(SETTINGS).send_again([RECORD])
    raise VectrueError(str(answer))


WAYS: dict[str, Callable[[], Any]] = {
    "send": lambda: KafkaOutbox(SETTINGS).send_dead_letters(
        [Failure(RECORD, PoisonEvent("no"), "decode")]
    ),
    "send again": _sent_again,
    "ends": lambda: DeadLetterTopic(SETTINGS, SystemClock()).ends(),
    "read": lambda: list(DeadLetterTopic(SETTINGS, SystemClock()).read()),
    "look": lambda: _raise(client.look(SETTINGS, Right("topic", TOPIC, "WRITE"))),
}


def _raise(error: VectrueError | None) -> None:
    if error is not None:
        raise error


@pytest.mark.parametrize("what", CASES)
@pytest.mark.parametrize("way", WAYS)
def test_each_thing_that_is_wrong_has_its_sentence(
    monkeypatch: pytest.MonkeyPatch, way: str, what: str
) -> None:
    """Replays and dead letters, sent or read: who may not is told the right, and a
    topic that is there is not missing.

    A missing topic is waited for where something is sent, and a matter of the
    configuration elsewhere.
    """
    case, kind, words = CASES[what]
    broker = Broker(case)
    monkeypatch.setattr(client, "client_config", lambda _, **options: options)
    for module in ("client.AdminClient", "outbox.Producer", "dead_letters.Consumer"):
        monkeypatch.setattr(f"connectors.kafka.{module}", broker)
    with pytest.raises(VectrueError, match=words) as raised:
        WAYS[way]()
    if way != "send again":
        assert isinstance(raised.value, kind)
        if what == "not there":
            assert isinstance(raised.value, TransientError if way == "send" else ConfigurationError)
    assert [
        name for name, (_, _, other) in CASES.items() if re.search(other, str(raised.value))
    ] == [what]


@pytest.mark.parametrize("what", ["not let in", "no answer"])
def test_who_asks_about_topics_and_groups_is_told_the_same(
    monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """`init`, `doctor`, `lag` and the workers at their start."""
    case, kind, words = CASES[what]
    monkeypatch.setattr(client, "client_config", lambda _, **options: options)
    for module in ("topics", "admin"):
        monkeypatch.setattr(f"connectors.kafka.{module}.AdminClient", Broker(case))
    for ask in (
        lambda: topics.existing(SETTINGS),
        lambda: KafkaOffsets(SETTINGS, SystemClock()).topic_ids([TOPIC]),
    ):
        with pytest.raises(kind, match=words):
            ask()


@pytest.mark.parametrize("what", ["not allowed", "not let in", "not there", "no answer"])
def test_a_topic_that_cannot_be_shortened(monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    """`dlq purge` says why as well."""
    case, _, words = CASES[what]
    monkeypatch.setattr(client, "client_config", lambda _, **options: options)
    monkeypatch.setattr("connectors.kafka.dead_letters.AdminClient", Broker(case))
    words = words.replace(r"127\.0\.0\.1:1 .*Conn", "cannot be shortened .*Conn")
    with pytest.raises(VectrueError, match=words):
        DeadLetterTopic(SETTINGS, SystemClock()).delete_before({0: 1})


def test_a_topic_that_we_may_not_see_is_not_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The list of all topics leaves it out: so it is asked for by its name before
    `init` is advised.
    """

    class Hidden(Broker):
        def list_topics(self, *_: Any, **__: Any) -> Any:
            return SimpleNamespace(topics={})

    monkeypatch.setattr(client, "client_config", lambda _, **options: options)
    monkeypatch.setattr("connectors.kafka.topics.AdminClient", Hidden(CASES["not allowed"][0]))
    with pytest.raises(ConfigurationError, match=f"DESCRIBE on topic {TOPIC}: kafka-acls"):
        topics.missing(SETTINGS, [TOPIC])
    monkeypatch.setattr("connectors.kafka.topics.AdminClient", Hidden(CASES["not there"][0]))
    assert topics.missing(SETTINGS, [TOPIC]) == [TOPIC]
    monkeypatch.setattr("connectors.kafka.topics.AdminClient", Hidden((None, [], False)))
    assert topics.missing(SETTINGS, [TOPIC]) == []


@pytest.mark.parametrize(
    "opens",
    [
        lambda: KafkaOutbox(BROKEN),
        lambda: topics.existing(BROKEN),
        lambda: KafkaOffsets(BROKEN, SystemClock()).topic_ids([TOPIC]),
        lambda: KafkaOffsets(BROKEN, SystemClock()).set_offsets("g", {(TOPIC, 0): 1}),
        lambda: DeadLetterTopic(BROKEN, SystemClock()).ends(),
        lambda: list(DeadLetterTopic(BROKEN, SystemClock()).read()),
        lambda: DeadLetterTopic(BROKEN, SystemClock()).delete_before({0: 1}),
        lambda: probe.first_records(BROKEN, {(TOPIC, 0): 1}, 1.0, SystemClock()),
        lambda: client.look(BROKEN, Right("topic", TOPIC, "READ")),
    ],
)
def test_an_option_that_no_client_takes(opens: Callable[[], object]) -> None:
    """Whichever client meets it first: it is the setting that is wrong, not the broker
    that is away.
    """
    with pytest.raises(
        ConfigurationError, match=r"sasl\.nonsense.*: correct kafka\.security"
    ) as refused:
        opens()
    assert "hush" not in str(refused.value)


def test_a_group_is_not_called_a_topic() -> None:
    """An error about a topic, met while a group is asked for."""
    problem = KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART)
    said = errors.error_of(
        SETTINGS, problem, Right("group", "t-live", "READ"), "the offsets could not be set"
    )
    assert "the offsets could not be set" in str(said)
    denied = errors.error_of(
        SETTINGS, KafkaError(KafkaError.GROUP_AUTHORIZATION_FAILED), Right("group", "g", "READ")
    )
    assert "READ on group g" in str(denied)


def test_a_certificate_is_not_called_a_password() -> None:
    """Another sentence and another fix than those of a rejected login."""
    tls = KafkaError(KafkaError._SSL, "SSL handshake failed: certificate verify failed")
    said = str(errors.error_of(SETTINGS, TIMED_OUT, Right("topic", TOPIC, "READ"), said=[tls]))
    assert said == (
        "Kafka refuses the connection to 127.0.0.1:1 (SSL handshake failed: certificate verify "
        "failed): correct kafka.security"
    )


def test_the_four_sentences() -> None:
    """A missing right, a rejected login, a missing topic and a missing leader."""
    right = Right("topic", TOPIC, "READ")
    said = [
        str(errors.error_of(SETTINGS, problem, right))
        for problem in (
            KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED),
            LOGIN,
            KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART),
            KafkaError(KafkaError.LEADER_NOT_AVAILABLE),
        )
    ]
    beginnings = (
        f"permission denied by Kafka: this client lacks READ on topic {TOPIC}: kafka-acls ",
        "Kafka rejected the login to 127.0.0.1:1 (SASL authentication error",
        f"topic {TOPIC} does not exist: run `vectrue init`",
        f"topic {TOPIC} has no leader for a partition: start the brokers that",
    )
    for sentence, beginning in zip(said, beginnings, strict=True):
        assert sentence.startswith(beginning)
