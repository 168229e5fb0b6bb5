"""Faults that people make around an installation: messages and origins of other tools,
DDL, a topic made again, time-outs, a colleague's `init`.

Each leaves a mark: a row that it changed itself and that no one else touches, so that
the verdict of the product can be held to it.

Hazards:
- DDL waits for the load's transactions, so it gives up after LOCK_SECONDS and is not a hit
  then.
- What has to be undone by `vectrue init` needs every service, while other faults of the
  group are being undone: it is tried again until it works.
"""

import secrets
import subprocess
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import psycopg2
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from psycopg2 import sql

from streams.keeper import origin_watch
from tests.soak.audit import WORKER, audit_trigger
from tests.soak.fleet import EXIT_CONFIGURATION, Fleet
from tests.soak.hits import Hit, Kind, Stage
from tests.soak.marks import Marks
from tests.soak.places import Places
from tests.soak.tables import LINES, NOTES, SMALL, Table
from tests.soak.texts import words
from tests.support.waiting import until

LOCK_SECONDS = 5
_INIT_SECONDS = 180.0
_ORIGIN = "soak_restore_tool"


class Operators:
    """What other people do."""

    def __init__(
        self, stage: Stage, dsn: str, fleet: Fleet, place: Places, servers: str, marks: Marks
    ) -> None:
        """Nothing is hit yet.

        Args:
            stage: time and chance.
            dsn: a superuser's, not through a proxy.
            fleet: starts `init`, and is told which exits a fault explains.
            place: the configurations of the installation, of a second one, and of a
                colleague's file.
            servers: Kafka, not through a proxy.
            marks: takes the rows that the faults change.
        """
        self.violations: list[str] = []
        self._stage = stage
        self._dsn = dsn
        self._fleet = fleet
        self._settings = place.settings
        self._admin: dict[str, str | int | float | bool] = {
            "bootstrap.servers": servers,
            "log_level": 0,
        }
        self._marks = marks
        self._second, self._colleague = place.second, place.colleague
        self._labelled = False
        """Whether rows were written under an origin since the last verdict."""

    def kinds(self) -> list[Kind]:
        """All of them. Those that need `init` or take a table's lock come one at a
        time.
        """
        return [
            Kind("logical message", None, self._guarded(self._message)),
            Kind("foreign origin", "setup", self._guarded(self._foreign_origin)),
            Kind("row security", "setup", self._guarded(self._row_security)),
            Kind("key type changed", "setup", self._guarded(self._key_type)),
            Kind("table swapped", "setup", self._guarded(self._swap)),
            Kind("topic made again", "setup", self._guarded(self._topic)),
            Kind("idle time-out", None, self._guarded(self._idle)),
            Kind("second installation", "setup", self._guarded(self._second_init)),
        ]

    def _guarded(self, hit: Callable[[], Hit | None]) -> Callable[[], Hit | None]:
        """The hit, or None where a service is away or a lock is not free."""

        def attempt() -> Hit | None:
            with suppress(psycopg2.Error, KafkaException):
                return hit()
            return None

        return attempt

    def _message(self) -> Hit:
        """An outbox or another tool's heartbeat, which anyone who may connect can
        write.
        """
        random = self._stage.random
        size = random.choice((1, 100, 100_000))
        for transactional in (True, False):
            self._run(
                "SELECT pg_logical_emit_message(%s, %s, %s)",
                (transactional, random.choice(("cdc", "")), "x" * size),
            )
        self._mark(NOTES)
        return self._stage.made("logical message", f"2 of {size} bytes")

    def _foreign_origin(self) -> Hit:
        """Rows written by a session with an origin of its own, as a subscription or a
        restore tool does.
        """
        connection = self._connect()
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1 FROM pg_replication_origin WHERE roname = %s", (_ORIGIN,))
                if not cursor.fetchall():
                    cursor.execute("SELECT pg_replication_origin_create(%s)", (_ORIGIN,))
                    connection.commit()
                cursor.execute("SELECT pg_replication_origin_session_setup(%s)", (_ORIGIN,))
                for _ in range(5):
                    self._insert(cursor, NOTES)
            connection.commit()
        finally:
            connection.close()
        self._labelled = True
        return self._stage.made("foreign origin", "5 rows")

    def let_origins_be_seen(self) -> None:
        """No one can know of writes under another's origin before the workers look for
        origins the next time.
        """
        if self._labelled:
            self._stage.let_pass(3 * origin_watch.SECONDS)
        self._labelled = False

    def _row_security(self) -> Hit:
        """A policy that hides every row from the workers: they leave with 78, and
        offsets stay.
        """
        self._fleet.excuse(EXIT_CONFIGURATION)
        self._run(f"ALTER TABLE {LINES.name} ENABLE ROW LEVEL SECURITY")
        self._mark(NOTES)
        hold = self._stage.random.uniform(2.0, 8.0)

        def off() -> None:
            self._insist(lambda: self._run(f"ALTER TABLE {LINES.name} DISABLE ROW LEVEL SECURITY"))
            self._fleet.excuse_no_more(EXIT_CONFIGURATION)

        return self._stage.made("row security", LINES.name, hold, off)

    def _key_type(self) -> Hit:
        """Integer to bigint and back, under running workers."""
        typed = (
            "SELECT format_type(atttypid, NULL) FROM pg_attribute WHERE attrelid = %s::regclass "
            "AND attname = 'id'"
        )
        found = self._run(typed, (SMALL.name,))
        wanted = "integer" if found[0][0] == "bigint" else "bigint"
        self._run(f"ALTER TABLE {SMALL.name} ALTER COLUMN id TYPE {wanted}")
        return self._stage.made("key type changed", f"{SMALL.name}.id to {wanted}")

    def _swap(self) -> Hit:
        """A table built beside and swapped in by name; the publication goes on with the
        old one until `init`.
        """
        old = f"{NOTES.name}_{secrets.token_hex(3)}"
        names = {
            "now": sql.Identifier(NOTES.name),
            "old": sql.Identifier(old),
            "worker": sql.Identifier(WORKER),
        }
        swap = sql.SQL(
            "LOCK TABLE {now} IN ACCESS EXCLUSIVE MODE;"
            " CREATE TABLE beside (LIKE {now} INCLUDING ALL); INSERT INTO beside SELECT * FROM "
            "{now};"
            " ALTER TABLE {now} RENAME TO {old}; ALTER TABLE beside RENAME TO {now};"
            " GRANT SELECT, UPDATE ON {now} TO {worker}"
        ).format(**names)
        connection = self._connect()
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(swap)
                cursor.execute(audit_trigger(NOTES))
        finally:
            connection.close()
        self._mark(NOTES)
        hold = self._stage.random.uniform(0.0, 6.0)

        def publish() -> None:
            self._init()
            self._insist(lambda: self._run(f"DROP TABLE {old}"))

        return self._stage.made("table swapped", NOTES.name, hold, publish)

    def _topic(self) -> Hit:
        """A change topic deleted, and made again by `init`: what lay in it unread is
        gone.

        A worker that starts meanwhile leaves with 78; `init` waits for a broker or
        Connect that another fault took.
        """
        topic = f"{self._settings.kafka.topic_prefix}.public.{LINES.name}"
        self._mark(LINES)
        # has to outlive its futures, which it cancels when it goes
        admin = AdminClient(self._admin)
        for deleted in admin.delete_topics([topic], request_timeout=5).values():
            deleted.result(timeout=15)
        self._fleet.excuse(EXIT_CONFIGURATION)

        def again() -> None:
            self._init()
            self._fleet.excuse_no_more(EXIT_CONFIGURATION)

        return self._stage.made(
            "topic made again", topic, self._stage.random.uniform(0.0, 4.0), again
        )

    def _idle(self) -> Hit:
        """The server closes sessions that are idle: those that are there now, and new
        ones after a second.
        """
        self._run(f"ALTER ROLE {WORKER} SET idle_session_timeout = '1s'")
        ended = self._run(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = %s",
            (WORKER,),
        )
        hold = self._stage.random.uniform(2.0, 8.0)
        reset = f"ALTER ROLE {WORKER} RESET idle_session_timeout"
        undo = partial(self._insist, partial(self._run, reset))
        return self._stage.made("idle time-out", f"{ended[0][0]} sessions", hold, undo)

    def _second_init(self) -> Hit:
        """A colleague whose file lacks a table, refused; then a second installation
        beside this one, which works.
        """
        published = self._published()
        code = self._fleet.launch("colleague-init", "--config", str(self._colleague), "init").wait(
            _INIT_SECONDS
        )
        if code == 0 or self._published() != published:
            self.violations.append(
                f"I12: `init` with a file that lacks a table exited {code} and took it away"
            )
        return self._stage.made(
            "second installation", "init", 0.0, lambda: self._init(self._second)
        )

    def _published(self) -> set[str]:
        name = self._settings.postgres.publication
        return {
            str(t)
            for (t,) in self._run(
                "SELECT tablename FROM pg_publication_tables WHERE pubname = %s", (name,)
            )
        }

    def _init(self, config: Path | None = None) -> None:
        arguments = ("--config", str(config), "init") if config else ("init",)

        def worked() -> bool:
            command = self._fleet.launch("init", *arguments)
            try:
                return command.wait(_INIT_SECONDS) == 0
            except subprocess.TimeoutExpired:
                command.kill()
                command.wait()
                return False

        until(worked, timeout=2 * _INIT_SECONDS, what="`vectrue init` to work again")

    def _mark(self, table: Table) -> None:
        """A row that only this fault changes."""
        connection = self._connect()
        try:
            with connection.cursor() as cursor:
                self._insert(cursor, table)
            connection.commit()
        finally:
            connection.close()

    def _insert(self, cursor: psycopg2.extensions.cursor, table: Table) -> None:
        key = (str(uuid.uuid4()),) if table is NOTES else table.new_key(self._stage.random)
        text = f"{words(self._stage.random)} {secrets.token_hex(8)}"
        columns = ", ".join((*table.key, *table.texts))
        places = ", ".join(["%s"] * (len(key) + 1))
        cursor.execute(
            f"INSERT INTO {table.name} ({columns}) VALUES ({places}) ON CONFLICT DO NOTHING",
            (*key, text),
        )
        self._marks.add(table, key, text)

    def _connect(self) -> psycopg2.extensions.connection:
        limits = (
            f"-c lock_timeout={LOCK_SECONDS}s -c statement_timeout=30s -c synchronous_commit=local"
        )
        return psycopg2.connect(
            self._dsn, connect_timeout=5, application_name="soak operator", options=limits
        )

    def _run(self, statement: str, parameters: Sequence[object] = ()) -> list[tuple[object, ...]]:
        connection = self._connect()
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(statement, parameters or None)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def _insist(self, work: Callable[[], object]) -> None:
        """Until it works: Postgres may be away, and the load holds locks."""

        def done() -> bool:
            with suppress(psycopg2.Error):
                work()
                return True
            return False

        until(done, timeout=120, what="an operator's statement to get through")
