"""Everything over TLS, with passwords, with the listed rights and not one more, on a
secure stack of its own.

`VECTRUE_TEST_SECURE_STACK_DIR=DIR` uses, and leaves running, the secure stack in DIR.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg2
import pytest

from connectors.clock import SystemClock
from connectors.kafka import outbox, rights, topics
from connectors.kafka.dead_letters import DeadLetterTopic
from connectors.kafka.offsets import KafkaOffsets
from connectors.kafka.outbox import KafkaOutbox
from connectors.kafka.rights import Right
from connectors.local.machine import certificates
from connectors.local.stack import LocalStack
from connectors.postgres.session import Session
from schemas.errors import ConfigurationError, TransientError, VectrueError
from schemas.messages.record import Record
from schemas.settings.reading import load
from tests.support import workplace as workplaces
from tests.support.secure import (
    Endpoints,
    allow,
    endpoints_of,
    exactly,
    granted,
    names_of,
    place_with_listed_rights,
    send_nonsense,
    sent,
    stop,
    take,
)
from tests.support.waiting import until
from tests.support.workplace import Workplace

pytestmark = [
    pytest.mark.stack,
    pytest.mark.skipif(
        os.environ.get("VECTRUE_TEST_STACK") == "containers", reason="needs the local stack"
    ),
]


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """A secure stack, started once."""
    kept = os.environ.get("VECTRUE_TEST_SECURE_STACK_DIR")
    stack = LocalStack(Path(kept) if kept else tmp_path_factory.mktemp("secure") / "stack")
    stack.up(secure=True)
    try:
        yield stack
    finally:
        if not kept:
            stack.reset()


@pytest.fixture(scope="module")
def secure(local: LocalStack) -> Endpoints:
    """Its endpoints."""
    return endpoints_of(local)


@pytest.fixture(scope="module")
def place(secure: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workplace]:
    """A workplace after `init`, with the listed rights only."""
    with place_with_listed_rights(secure, tmp_path_factory.mktemp("place")) as made:
        yield made


def test_the_whole_path_with_the_listed_rights_only(place: Workplace, local: LocalStack) -> None:
    """Insert to vector, dead letter, replay, lag and search, over TLS as SCRAM users;
    no log or title has a secret.
    """
    live, replay = place.start_worker("live"), place.start_worker("replay")
    assert isinstance(place.endpoints, Endpoints)
    send_nonsense(place, b"no event")
    place.execute(
        "INSERT INTO questions (question) SELECT 'question ' || i FROM generate_series(1, 50) AS i"
    )
    place.wait_current()
    until(
        lambda: b"no event" in sent(place, place.settings.dead_letter_topic), what="the dead letter"
    )
    outputs = [
        place.vectrue("replay", "run", "--only", "all"),
        place.vectrue("lag", "-o", "json"),
        place.vectrue("search", "question 7"),
        place.vectrue("config", "show"),
        place.vectrue("config", "show", "-o", "json"),
        place.vectrue("init"),
    ]
    assert '"error": "' not in outputs[1].stdout
    assert "question 7" in outputs[2].stdout

    shown = (
        "".join(done.stdout + done.stderr for done in outputs)
        + place.log("live")
        + place.log("replay")
    )
    shown += "".join(
        log.read_text(errors="replace") for log in (local.directory / "logs").iterdir()
    )
    titles = [" ".join(p.info["cmdline"] or []) for p in psutil.process_iter(["cmdline"])]
    hidden = [
        place.settings.kafka.security["sasl.password"],
        place.endpoints.kafka_admin["sasl.password"],
    ]
    hidden += [
        dsn.split(":")[2].split("@")[0]
        for dsn in (place.settings.postgres.dsn, place.settings.postgres.admin)
    ]
    for password in hidden:
        assert password not in shown
        assert not [title for title in titles if password in title]
    for worker in (live, replay):
        stop(worker)


def test_each_right_is_needed(place: Workplace) -> None:
    """With one right fewer, the part that needs it names it, and the command that
    grants it; nothing stalls.
    """
    settings, names = place.settings, names_of(place)
    needed = rights.of_vectrue(settings.kafka.topic_prefix)
    for right in needed:
        if right.operation == "CREATE":
            continue  # asked for by `init`, which makes the topics
        take(place, right)
        try:
            with pytest.raises(
                ConfigurationError, match="permission denied by Kafka: user vectrue lacks"
            ) as refused:
                topics.require_rights(settings, needed, names)
            assert str(right) in str(refused.value)
            assert right.command("vectrue", settings.kafka.bootstrap_servers) in (
                refused.value.fix or ""
            )
        finally:
            allow(place, {"vectrue": (right,)})
        until(lambda: granted(place, needed, names), what="the right to be back")


def test_the_live_worker_needs_its_rights_only(place: Workplace) -> None:
    """A row, one that is locked and so deferred, and an event that cannot be read."""
    with exactly(place, "live"):
        worker = place.start_worker("live", log="live-alone")
        holder = Session(place.settings.postgres.admin, role="test")
        with holder.transaction() as cursor:
            cursor.execute(
                "INSERT INTO questions (question) VALUES ('free'), ('held'); COMMIT; BEGIN;"
                "SELECT FROM questions WHERE question = 'held' FOR NO KEY UPDATE"
            )
            send_nonsense(place, b"of the live worker")
            until(
                lambda: b"of the live worker" in sent(place, place.settings.dead_letter_topic),
                what="the letter",
            )
            assert sent(place, place.settings.deferred_topic)
        place.wait_current()
        holder.close()
        stop(worker)


def test_the_replay_worker_needs_its_rights_only(place: Workplace) -> None:
    """The keeper starts a run for a row that no one else embeds, and the lane sees how
    far live is behind.
    """
    before = place.settings
    place.with_settings(keeper={"reconcile_seconds": 2, "stale_seconds": 1, "poll_seconds": 0.5})
    place.execute("INSERT INTO questions (question) VALUES ('found by the keeper')")
    try:
        with exactly(place, "replay"):
            worker = place.start_worker("replay", log="replay-alone")
            place.wait_current()
            stop(worker)
            offsets = KafkaOffsets(place.settings, SystemClock())
            live = offsets.read({place.settings.live_group: names_of(place)[:1]})[
                place.settings.live_group
            ]
            offsets.close()
            assert live.error is None
    finally:
        place.settings = before
    assert "rows stayed stale and are sent through replay" in place.log("replay-alone")


def test_commands_need_their_rights_only(place: Workplace) -> None:
    """`replay run` and `lag`; `dlq` with those of its own, and told which one it lacks
    with the others'.
    """
    send_nonsense(place, b"of the commands")
    worker = place.start_worker("live", log="live-before-commands")
    until(
        lambda: b"of the commands" in sent(place, place.settings.dead_letter_topic),
        what="the dead letter",
    )
    stop(worker)
    with exactly(place, "commands"):
        place.vectrue("replay", "run", "--only", "all", "--detach")
        assert '"error": "' not in place.vectrue("lag", "-o", "json", check=False).stdout
        refused = place.vectrue(
            "dlq", "redrive", "--kind", "event", "--all", "--no-wait", "-o", "json", check=False
        )
        assert refused.returncode == 1
        assert "user vectrue lacks WRITE on topic" in refused.stdout
        refused = place.vectrue("dlq", "purge", "--all", "--yes", check=False)
        assert refused.returncode == 78
        assert f"DELETE on topic {place.settings.dead_letter_topic}" in refused.stderr
    with exactly(place, "dlq"):
        place.vectrue("dlq", "redrive", "--kind", "event", "--all", "--no-wait")
        place.vectrue("dlq", "purge", "--all", "--yes")


def test_a_worker_without_its_group_leaves_at_once(place: Workplace) -> None:
    """The group's right above all: a consumer without it would wait in silence for
    ever; the worker exits 78.
    """
    group = Right("group", place.settings.live_group, "READ")
    take(place, group)
    try:
        done = place.vectrue("worker", "--role", "live", check=False)
    finally:
        allow(place, {"vectrue": (group,)})
    assert done.returncode == 78
    assert f"user vectrue lacks READ on group {group.name}" in done.stderr


@pytest.mark.parametrize("kind", ["group", "topic"])
def test_a_right_that_is_taken_away_ends_the_worker(place: Workplace, kind: str) -> None:
    """A running worker that loses a right does not stall: it ends, and the next start
    says what is missing.
    """
    prefix = place.settings.kafka.topic_prefix
    right = next(
        right
        for right in rights.of("live", prefix)
        if right.resource == kind and right.operation == "READ"
    )
    before = place.settings
    place.with_settings(watchdog={"idle_seconds": 10})
    worker = place.start_worker("live", log=f"taken-{kind}")
    place.execute("INSERT INTO questions (question) VALUES ('before')")
    place.wait_current()
    take(place, right)
    try:
        place.execute("INSERT INTO questions (question) VALUES ('after')")
        until(lambda: worker.poll() is not None, what="the worker to leave")
        assert worker.returncode in (70, 78)
        done = place.vectrue("worker", "--role", "live", check=False)
        assert done.returncode == 78
        assert str(right) in done.stderr
    finally:
        allow(place, {"vectrue": (right,)})
        place.settings = before
    place.start_worker("live", log=f"given-{kind}")
    place.wait_current()
    place.processes[-1].terminate()
    place.processes[-1].wait(120)


def test_commands_name_the_right_that_they_lack(place: Workplace) -> None:
    """`replay run`, `init` and `lag`, each with a right fewer: one sentence with the
    command that grants it.
    """
    prefix = place.settings.kafka.topic_prefix
    send = Right("topic", place.settings.replay_topic, "WRITE")
    with exactly(place, "commands"):
        take(place, send)
        done = place.vectrue("replay", "run", "--only", "all", check=False)
        assert (done.returncode, str(send) in done.stderr, "kafka-acls" in done.stderr) == (
            78,
            True,
            True,
        )
        with pytest.raises(ConfigurationError, match=r"WRITE on topic .*\.replay"):
            KafkaOutbox(place.settings)._send([(place.settings.replay_topic, b"k", b"v", [])])
    create = next(right for right in rights.of("init", prefix) if right.operation == "CREATE")
    take(place, create)
    before = place.settings
    try:
        place.execute("CREATE TABLE more (id int PRIMARY KEY, body text, embedding vector(64))")
        place.with_settings(tables=[workplaces.QUESTIONS, {"name": "public.more", "text": "body"}])
        done = place.vectrue("init", check=False)
        assert (done.returncode, str(create) in done.stderr, "kafka-acls" in done.stderr) == (
            78,
            True,
            True,
        )
        assert "done:" not in done.stderr, "nothing is changed before the rights are checked"
    finally:
        place.settings = before
        allow(place, {"vectrue": (create,)})
    group = Right("group", place.settings.live_group, "DESCRIBE")
    reading = Right("group", place.settings.live_group, "READ")
    take(place, reading)
    try:
        said = place.vectrue("lag", "-o", "json", check=False).stdout
        assert f"user vectrue lacks {group}" in said, said
    finally:
        allow(place, {"vectrue": (reading,)})


def test_who_is_not_let_in_is_told_so(
    place: Workplace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong password, a foreign authority and a client without TLS each get one sentence,
    without the password.

    The same holds for sending a chunk and for reading the dead letters.
    """
    monkeypatch.setattr(outbox, "_DELIVERY_SECONDS", 2)
    ca = tmp_path / "ca.pem"
    certificates.make(tmp_path, SystemClock())
    shutil.copy(certificates.authority(tmp_path), ca)
    good = place.settings.kafka.security
    cases: list[tuple[dict[str, str], type[VectrueError], str]] = [
        ({**good, "sasl.password": "wr0ng-secret"}, ConfigurationError, "uthentication failed"),
        ({**good, "ssl.ca.location": str(ca)}, ConfigurationError, "certificate verify failed"),
        ({}, TransientError, "kafka.security"),
    ]
    for options, kind, words in cases:
        settings = load(
            **{
                **place.settings.model_dump(),
                "kafka": {**place.settings.kafka.model_dump(), "security": options},
            }
        )
        letters, record = (
            DeadLetterTopic(settings, SystemClock()),
            Record(settings.dead_letter_topic, 0, 0, b"", b""),
        )
        for ask in (
            lambda: topics.existing(settings),  # noqa: B023 - called in this round
            letters.ends,
            lambda: KafkaOutbox(settings)._send([(record.topic, record.key, record.value, [])]),  # noqa: B023 - also called in this round
        ):
            with pytest.raises(kind, match=words) as refused:
                ask()
            assert "wr0ng-secret" not in str(refused.value)


def test_postgres_without_tls_or_with_a_foreign_authority_is_refused(
    place: Workplace, tmp_path: Path
) -> None:
    """The server refuses clients without TLS, and we refuse a server that the authority
    does not vouch for.
    """
    certificates.make(tmp_path, SystemClock())
    plain, _, _ = place.settings.postgres.dsn.partition("?")
    foreign = f"{plain}?sslmode=verify-full&sslrootcert={certificates.authority(tmp_path)}"
    for dsn, words in (
        (f"{plain}?sslmode=disable", "no encryption"),
        (foreign, "certificate verify failed"),
    ):
        with pytest.raises(ConfigurationError, match=words):
            Session(dsn, role="test").rows("SELECT 1")
    connection = psycopg2.connect(place.settings.postgres.dsn)
    assert connection.info.ssl_in_use
    connection.close()


def test_a_stack_stays_what_it_is(local: LocalStack, tmp_path: Path) -> None:
    """`up` keeps a secure stack secure; one that is not is never made secure under its
    data.
    """
    before = local.endpoints()
    assert local.up() == before
    assert local.is_secure
    plain = LocalStack(tmp_path)
    plain._state_file.write(plain._new(secure=False))
    with pytest.raises(ConfigurationError, match=r"not secure.*vectrue local reset"):
        plain.up(secure=True)
    plain.reset()
