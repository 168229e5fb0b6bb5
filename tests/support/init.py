"""`vectrue init` in this process, and what it made: the plan, the events, a worker
role.
"""

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from confluent_kafka import Consumer

from connectors.clock import SystemClock
from connectors.kafka.client import client_config
from connectors.models import open_model
from connectors.postgres import statement
from connectors.postgres.session import Session
from connectors.postgres.setup import installation, meaning
from schemas.messages import change
from schemas.rows.table import TableName
from schemas.settings.reading import Settings
from streams.setup import connection, init, start_capture
from streams.setup import plan as setup_plan
from streams.setup.init_report import InitReport
from streams.setup.plan import SetupPlan
from tests.support.waiting import until
from tests.support.workplace import Workplace, server_owner


def setup(settings: Settings) -> InitReport:
    """Run `init` in this process."""
    return init.run(settings, open_model(settings.model), SystemClock(), lambda _: None)


def set_up_database(settings: Settings) -> InitReport:
    """What `init` does in the database, without topics and connector: for tests of
    rights.
    """
    session = connection.admin(settings)
    try:
        with connection.alone(session):
            plan = setup_plan.plan(settings, open_model(settings.model), session)
            for step in plan.statements:
                statement.run(session, step, lock_seconds=2, clock=SystemClock())
            steps = installation.registration(
                session, settings, start_capture.database(settings, session)
            )
            for step in [*steps, *meaning.registration(session, settings)]:
                statement.run(session, step, lock_seconds=2, clock=SystemClock())
            changed = [step.description for step in (*plan.statements, *steps)]
            return init.reported(session, settings, plan, changed, plan.notices)
    finally:
        session.close()


def planned(settings: Settings) -> SetupPlan:
    """What `init` would do in the database."""
    session = Session(settings.postgres.admin, role="test")
    try:
        return setup_plan.plan(settings, open_model(settings.model), session)
    finally:
        session.close()


def events(settings: Settings, table: str, count: int) -> list[change.Change]:
    """The first events of a table's topic."""
    consumer = Consumer(
        client_config(
            settings, **{"group.id": secrets.token_hex(4), "auto.offset.reset": "earliest"}
        )
    )
    found: list[change.Change] = []

    def arrived() -> bool:
        for message in consumer.consume(100, timeout=0.2):
            assert message.error() is None
            read = change.parse(message.key(), message.value())
            assert read is not None
            assert read.fields.keys() == json.loads(message.key() or b"{}").keys()
            found.append(read)
        return len(found) >= count

    try:
        consumer.subscribe([TableName.parse(table).topic(settings.kafka.topic_prefix)])
        until(arrived, what=f"{count} events of {table}")
    finally:
        consumer.close()
    return found


def as_role(place: Workplace, role: str, **postgres: Any) -> Settings:
    """Settings whose workers connect as the role, set up by the owner."""
    admin = place.settings.postgres.dsn
    dsn = f"postgresql://{role}:pw@{admin.split('@', 1)[1]}"
    return place.with_settings(postgres={"dsn": dsn, "admin_dsn": admin, **postgres})


@contextmanager
def worker_role(dsn: str) -> Iterator[str]:
    """A role of the server that owns nothing; to be dropped after the test's database."""
    name = f"worker_{secrets.token_hex(4)}"
    with server_owner(dsn) as cursor:
        cursor.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'pw'")
    yield name
    with server_owner(dsn) as cursor:
        cursor.execute(f"DROP OWNED BY {name}; DROP ROLE {name}")
