"""Kafka's rights in tests on a secure stack: granted, taken away, or those of one role
and no others.
"""

import secrets
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # these are exported without saying so
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from connectors.kafka import acls, rights, topics
from connectors.kafka.client import client_config
from connectors.kafka.rights import Right
from connectors.local.stack import LocalStack
from tests.support import workplace as workplaces
from tests.support.waiting import until
from tests.support.workplace import Workplace


@dataclass(frozen=True)
class Endpoints:
    """Where the secure stack answers, and how its superuser logs in."""

    postgres_dsn: str
    bootstrap_servers: str
    connect_url: str
    kafka_security: Mapping[str, str]
    kafka_admin: Mapping[str, str]


def endpoints_of(local: LocalStack) -> Endpoints:
    """The endpoints of a secure stack."""
    ends = local.endpoints()
    return Endpoints(
        ends.postgres_dsn,
        ends.bootstrap_servers,
        ends.connect_url,
        ends.kafka_security,
        local.kafka_admin(),
    )


@contextmanager
def place_with_listed_rights(secure: Endpoints, directory: Path) -> Iterator[Workplace]:
    """A workplace after `init`: the worker is a role without rights of its own, and Kafka
    allows what is listed and nothing else.
    """
    role = f"worker_{secrets.token_hex(4)}"
    password = f"pg-{secrets.token_hex(8)}"
    with workplaces.workplace(secure, directory) as made:
        admin_dsn = made.settings.postgres.dsn
        made.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{password}'")
        made.execute(workplaces.CREATE_QUESTIONS.format(dimensions=64))
        dsn = f"postgresql://{role}:{password}@{admin_dsn.split('@', 1)[1]}"
        made.with_settings(postgres={"dsn": dsn, "admin_dsn": admin_dsn})
        allow(made, everything(made))
        made.vectrue("init")
        try:
            yield made
        finally:
            for process in made.processes:
                process.kill()
                process.wait()
            made.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


def admin(place: Workplace) -> AdminClient:
    """A client of the superuser."""
    assert isinstance(place.endpoints, Endpoints)
    return AdminClient(client_config(place.settings, **place.endpoints.kafka_admin))


def everything(place: Workplace) -> dict[str, tuple[Right, ...]]:
    """The list, by user."""
    prefix = place.settings.kafka.topic_prefix
    return {"vectrue": rights.of_vectrue(prefix), "connect": rights.of("connect", prefix)}


def allow(place: Workplace, users: dict[str, tuple[Right, ...]]) -> None:
    """Grant."""
    acls.allow(admin(place), users)


def take(place: Workplace, right: Right) -> None:
    """Take one right of the user vectrue away; returns when the broker no longer has
    it.
    """
    kind = ResourceType.TOPIC if right.resource == "topic" else ResourceType.GROUP
    pattern = ResourcePatternType.PREFIXED if right.prefixed else ResourcePatternType.LITERAL
    operation = getattr(AclOperation, right.operation)
    one = AclBindingFilter(
        kind, right.name, pattern, "User:vectrue", "*", operation, AclPermissionType.ALLOW
    )
    client = admin(place)
    for future in client.delete_acls([one]).values():
        assert len(future.result(10)) == 1
    until(lambda: not client.describe_acls(one).result(10), what="the right to be gone")


@contextmanager
def exactly(place: Workplace, role: rights.Role) -> Iterator[tuple[Right, ...]]:
    """For a while the user vectrue has the rights of one role and no others."""
    client = admin(place)
    anything: Any = None  # its declaration does not say that a filter may leave it out
    mine = AclBindingFilter(
        ResourceType.ANY,
        anything,
        ResourcePatternType.ANY,
        "User:vectrue",
        anything,
        AclOperation.ANY,
        AclPermissionType.ANY,
    )

    def nothing() -> None:
        client.delete_acls([mine])[mine].result(10)
        until(lambda: not client.describe_acls(mine).result(10), what="the rights to be gone")

    before = client.describe_acls(mine).result(10)
    needed = rights.of(role, place.settings.kafka.topic_prefix)
    nothing()
    allow(place, {"vectrue": needed})
    try:
        until(lambda: granted(place, needed, names_of(place)), what="the role's rights")
        yield needed
    finally:
        nothing()
        for future in client.create_acls(before).values():
            future.result(10)
        until(
            lambda: granted(place, everything(place)["vectrue"], names_of(place)),
            what="all rights to be back",
        )


def names_of(place: Workplace) -> list[str]:
    """All topics."""
    return list(topics.wanted(place.settings, [table.table for table in place.settings.tables]))


def sent(place: Workplace, topic: str) -> list[bytes]:
    """Some of the oldest values of a topic, read as the superuser."""
    assert isinstance(place.endpoints, Endpoints)
    group = {"group.id": secrets.token_hex(4), "auto.offset.reset": "earliest"}
    consumer = Consumer(client_config(place.settings, **place.endpoints.kafka_admin, **group))
    consumer.subscribe([topic])
    try:
        return until(
            lambda: [m.value() or b"" for m in consumer.consume(100, timeout=0.5) if not m.error()],
            what="a record",
        )
    finally:
        consumer.close()


def send_nonsense(place: Workplace, value: bytes) -> None:
    """Put a record that is not an event into the change topic, as the superuser."""
    assert isinstance(place.endpoints, Endpoints)
    producer = Producer(client_config(place.settings, **place.endpoints.kafka_admin))
    producer.produce(f"{place.settings.kafka.topic_prefix}.public.questions", value, key=b"k")
    assert producer.flush(10) == 0


def stop(worker: Any) -> None:
    """Ask a worker to end."""
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(120) == 0


def granted(place: Workplace, needed: tuple[Right, ...], names: list[str]) -> bool:
    """Whether the broker knows that they are granted."""
    return not acls.lacking(AdminClient(client_config(place.settings)), needed, names)
