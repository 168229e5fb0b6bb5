"""The connector's configuration, and the client of Kafka Connect against a Connect of
lists and dicts.
"""

import re
from collections.abc import Callable

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.debezium import releases as debezium_releases
from connectors.debezium.answers import reason
from connectors.debezium.client import KafkaConnect
from connectors.debezium.config import CapturedDatabase, connector_config, database_of, pattern
from connectors.kafka import topics
from connectors.twins.memory import MemoryClock
from schemas.errors import ConfigurationError, TransientError, VectrueError
from schemas.rows.table import TableName
from schemas.rows.target import KeyColumn, Target
from schemas.settings.reading import Settings
from tests.support.connect import FakeConnect

DATABASE = CapturedDatabase("db.example", 5433, "interview", "owner", "secret", "require")
TARGET = Target(
    TableName("public", "questions"),
    "embedding",
    "question",
    (KeyColumn("id", "bigint"), KeyColumn("Ключ", "text")),
    "m@1",
    4,
)
TRACE = """org.apache.kafka.connect.errors.ConnectException: \
An exception occurred in the change event producer.
\tat io.debezium.pipeline.ErrorHandler.setProducerThrowable(ErrorHandler.java:67)
Caused by: io.debezium.DebeziumException: outer
\tat io.debezium.connector.postgresql.X.y(X.java:1)
Caused by: org.postgresql.util.PSQLException: ERROR: publication "nosuch" does not exist
  Where: slot "s", output plugin "pgoutput", in the change callback
\t... 9 more
"""


@given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1), min_size=1, max_size=3))
def test_a_pattern_matches_its_names_alone(names: list[str]) -> None:
    """Any name survives the list syntax (commas, white space at the ends) and means
    itself as a regular expression.
    """
    written = pattern(*names)
    assert not re.search(r"[\s,]", written)
    assert written.startswith("(?-i)")  # Debezium's own flags ignore case
    python = re.sub(
        r"\\x\{([0-9a-f]+)\}",
        lambda m: re.escape(chr(int(m[1], 16))),
        written.removeprefix("(?-i)"),
    )
    assert re.fullmatch(python, ".".join(names))
    assert not re.fullmatch(python, ".".join(names) + "x")


def test_only_key_columns_are_captured() -> None:
    """The lists name the tables and their key columns, each once, the whole canary, and
    no text column.
    """
    config = connector_config(
        Settings(), DATABASE, [TARGET, TARGET], origin_filter=True, heartbeat_query="Q"
    )
    assert config["table.include.list"] == r"(?-i)public\.questions,(?-i)vectrue\.canary"
    assert (
        config["column.include.list"]
        == rf"(?-i)public\.questions\.id,(?-i)public\.questions\.Ключ,{CANARY}"
    )
    assert config["database.password"] == "secret"
    assert config["database.sslmode"] == "require"
    assert config["heartbeat.action.query"] == "Q"


def test_an_old_server_is_not_asked_for_its_origin_filter() -> None:
    """PostgreSQL 15 refuses to stream when it is asked for origin=none."""
    new = connector_config(Settings(), DATABASE, [TARGET], origin_filter=True, heartbeat_query="Q")
    old = connector_config(Settings(), DATABASE, [TARGET], origin_filter=False, heartbeat_query="Q")
    assert new["slot.stream.params"] == "origin=none"
    assert "slot.stream.params" not in old


def test_the_connector_reaches_the_database_by_its_own_address() -> None:
    """connect.database_host and _port win over the DSN; a Unix socket is refused."""
    parameters = {"host": "/run/postgresql", "dbname": "d", "user": "u"}
    with pytest.raises(ConfigurationError, match=r"Unix socket.*connect\.database_host"):
        database_of(Settings(), parameters, "")
    settings = Settings(connect={"database_host": "db", "database_port": 5555})
    assert database_of(settings, parameters, "") == CapturedDatabase(
        "db", 5555, "d", "u", None, None
    )


@pytest.mark.parametrize(
    ("trace", "sentence"),
    [
        (TRACE, 'ERROR: publication "nosuch" does not exist'),
        (
            "io.debezium.DebeziumException: The connector is lost\n\tat a.b.c",
            "The connector is lost",
        ),
        ("plain words: with a colon", "plain words: with a colon"),
        ("java.lang.NullPointerException", "java.lang.NullPointerException"),
        ("", "no reason given"),
    ],
)
def test_the_innermost_cause_is_shown(trace: str, sentence: str) -> None:
    """A stack trace is read down to the sentence that says what is wrong."""
    assert reason(trace) == sentence


@pytest.fixture
def fake() -> FakeConnect:
    """A Connect without connectors."""
    return FakeConnect()


@pytest.fixture
def connect(fake: FakeConnect) -> KafkaConnect:
    """A client of it whose pauses take no time."""
    return client(fake.answer)


def client(answer: Callable[[httpx.Request], httpx.Response]) -> KafkaConnect:
    """A client that is answered by a function."""
    return KafkaConnect(
        "http://user:pw@connect:8083/", MemoryClock(), transport=httpx.MockTransport(answer)
    )


def test_an_equal_configuration_is_left_alone(fake: FakeConnect, connect: KafkaConnect) -> None:
    """Registering twice changes nothing the second time, and asks only."""
    assert connect.register("c", {"a": "1"})
    fake.calls.clear()
    assert not connect.register("c", {"a": "1"})
    assert all(call.startswith("GET") for call in fake.calls)


def test_a_changed_configuration_goes_through_stopped(
    fake: FakeConnect, connect: KafkaConnect
) -> None:
    """No task of the old configuration can be taken for one of the new."""
    connect.register("c", {"a": "1"})
    fake.calls.clear()
    assert connect.register("c", {"a": "2"})
    changes = [call for call in fake.calls if not call.startswith("GET")]
    assert changes == [
        "PUT /connectors/c/stop",
        "PUT /connectors/c/config",
        "PUT /connectors/c/resume",
    ]
    assert fake.connectors["c"] == {"name": "c", "a": "2"}


def test_a_new_connector_of_an_old_name_forgets_its_offsets(
    fake: FakeConnect, connect: KafkaConnect
) -> None:
    """Connect keeps the offsets of a deleted connector; they go before the first task
    starts.
    """
    connect.register("c", {"a": "1"})
    assert fake.calls[-2:] == ["DELETE /connectors/c/offsets", "PUT /connectors/c/resume"]


def test_how_far_a_connector_has_read(fake: FakeConnect, connect: KafkaConnect) -> None:
    """As a number; unknown for a connector that is not there or has read nothing."""
    assert connect.offset("c") is None
    connect.register("c", {"a": "1"})
    assert connect.offset("c") is None
    fake.offsets = [{"partition": {"server": "t"}, "offset": {"lsn": 17, "lsn_proc": 16}}]
    assert connect.offset("c") == 17


def test_a_refused_configuration_leaves_the_old_one_running(
    fake: FakeConnect, connect: KafkaConnect
) -> None:
    """A mistake in the settings does not end a capture that works; the message is
    Connect's.
    """
    connect.register("c", {"a": "1"})
    fake.refuses = (
        "Connector configuration is invalid and contains:\nFATAL: no such user\nYou can also "
        "find the list"
    )
    with pytest.raises(
        VectrueError, match=r"refuses PUT /connectors/c/config: FATAL: no such user: check"
    ):
        connect.register("c", {"a": "2"})
    assert fake.states["c"] == "RUNNING"
    assert fake.connectors["c"]["a"] == "1"


def test_a_failed_task_is_started_again(fake: FakeConnect, connect: KafkaConnect) -> None:
    """A connector whose task failed is not in place, although its configuration is
    right.
    """
    connect.register("c", {"a": "1"})
    fake.trace = TRACE
    assert connect.register("c", {"a": "1"})


def test_a_failed_task_is_reported_by_its_own_words(
    fake: FakeConnect, connect: KafkaConnect
) -> None:
    """The task's cause is shown, without the stack."""
    connect.register("c", {"a": "1"})
    fake.trace = TRACE
    with pytest.raises(
        VectrueError, match=r'connector c failed: ERROR: publication "nosuch" does not exist'
    ):
        connect.wait_running("c")


def test_running_is_not_enough(fake: FakeConnect, connect: KafkaConnect) -> None:
    """The wait ends when what the caller asks for holds too, and says so when it never
    does.
    """
    connect.register("c", {"a": "1"})
    answers = iter([False, False, True])
    connect.wait_running("c", also=lambda: next(answers))
    with pytest.raises(TransientError, match="connector c does not stream after 5 s"):
        connect.wait_running("c", 5, also=lambda: False)


def test_a_rebalance_is_waited_for(fake: FakeConnect, connect: KafkaConnect) -> None:
    """Connect's "try again later" is not the end, unless it never stops."""
    fake.rebalances = 3
    connect.check()
    fake.rebalances = 10_000
    with pytest.raises(TransientError, match="is rebalancing"):
        connect.check()


def test_a_rebalance_that_calls_itself_an_error_is_waited_for() -> None:
    """Some requests meanwhile end with 500 and these words instead of 409."""
    said = {
        "error_code": 500,
        "message": "Request cannot be completed because a rebalance is expected",
    }
    answers = iter([httpx.Response(500, json=said), httpx.Response(200, json={"version": "4.3.1"})])
    client(lambda _: next(answers)).check()


def test_no_answer_names_the_setting_and_no_password() -> None:
    """A Connect that is not there is a matter of connect.url; its password stays out of
    the message.
    """

    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("Connection refused", request=request)

    with pytest.raises(
        TransientError, match=r"does not answer at http://connect:8083 .*connect\.url"
    ) as caught:
        client(refuse).check()
    assert "pw" not in str(caught.value)


def test_something_else_that_answers_is_not_taken_for_connect() -> None:
    """A web page behind connect.url is an error that names it."""
    with pytest.raises(TransientError, match=r"did not return JSON"):
        client(lambda _: httpx.Response(200, text="<html>")).check()


@pytest.mark.parametrize("password", ["pa/ss-w0rd", "pa:ss/w0rd", "p[a/ss-w0rd", "p@ss/w0rd"])
def test_an_address_that_is_none_is_told_without_its_password(password: str) -> None:
    """What stands before a / in a password is taken for a host or port, and the client
    quotes that.
    """
    with pytest.raises(ConfigurationError, match=r"connect\.url is not a valid URL") as refused:
        KafkaConnect(f"http://user:{password}@connect:8083", MemoryClock())
    assert "pa" not in str(refused.value).replace("password", "")


def test_the_release_of_debezium(fake: FakeConnect, connect: KafkaConnect) -> None:
    """As Kafka Connect tells it; None where the connector is not installed."""
    fake.plugins = [
        {"class": "org.apache.kafka.connect.mirror.MirrorSourceConnector", "version": "4.3.1"}
    ]
    assert connect.version() is None
    fake.plugins += [
        {"class": "io.debezium.connector.postgresql.PostgresConnector", "version": "3.6.3.Final"}
    ]
    assert connect.version() == "3.6.3.Final"


@pytest.mark.parametrize(
    ("version", "loses"),
    [
        ("3.6.3.Final", True),
        ("2.7.0.Final", True),
        ("3.7.0.Final", False),
        ("3.10.1.CR1", False),
        ("unknown", False),
    ],
)
def test_releases_that_lose_events_are_known(version: str, loses: bool) -> None:
    """Those before 3.7; nothing is said about a version that cannot be read."""
    said = debezium_releases.hazard(version)
    assert (said is not None) is loses
    assert said is None or version in said


CANARY = ",".join(rf"(?-i)vectrue\.canary\.{name}" for name in ("beat", "prefix", "sent_at"))
EMITTED = {
    # What Debezium's Postgres connector can write, by its list of options (3.7): where
    # it goes, or what keeps it off.
    "changes of tables": ("table.include.list", r"(?-i)public\.questions,(?-i)vectrue\.canary"),
    "columns that are no key": (
        "column.include.list",
        rf"(?-i)public\.questions\.id,(?-i)public\.questions\.Ключ,{CANARY}",
    ),
    "heartbeats": ("heartbeat.topics.prefix", "__debezium-heartbeat"),
    "logical messages": ("message.prefix.exclude.list", "(?s).*"),
    "truncations": ("skipped.operations", "t"),
    "tombstones": ("tombstones.on.delete", "false"),
    "transactions": ("provide.transaction.metadata", "false"),
    "lineage": ("openlineage.integration.enabled", "false"),
    "snapshots": ("snapshot.mode", "no_data"),
    "publications of its own": ("publication.autocreate.mode", "disabled"),
    "records that cannot be converted": ("errors.tolerance", "none"),
}
UNNAMED = (
    "notification.enabled.channels",
    "notification.sink.topic.name",
    "notification.http.url",
    "signal.enabled.channels",
    "signal.data.collection",
    "topic.creation.groups",
    "post.processors",
    "converters",
    "transforms",
    "replica.identity.autoset.values",
    "message.prefix.include.list",
    "database.initial.statements",
)
"""Off as long as nothing of it is named."""


def test_all_that_the_connector_may_emit_has_a_place_or_is_off() -> None:
    """A record without a topic would stop capture of all tables without an error."""
    config = connector_config(
        Settings(), DATABASE, [TARGET], origin_filter=True, heartbeat_query="Q"
    )
    assert {name: config.get(option) for name, (option, _) in EMITTED.items()} == {
        name: value for name, (_, value) in EMITTED.items()
    }
    assert not config.keys() & set(UNNAMED)
    made = topics.wanted(Settings(), [TARGET.table])
    assert {TARGET.table.topic("vectrue"), "__debezium-heartbeat.vectrue"} <= set(made)
