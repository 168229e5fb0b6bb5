"""Faults at the worst moments of a commit: the moment is held open until a worker is in
it, then the worker dies.

Hazards:
- `synchronous_standby_names` with a standby that does not exist holds every commit of
  the server, the application's too; its commit records are written all the same, so
  capture sends events of transactions that no one can see yet.
- The setting outlives a killed server: `release` tries until Postgres answers.
"""

import signal
import threading
from collections.abc import Callable
from contextlib import suppress

import psutil
import psycopg2

from tests.soak.checker import Rows
from tests.soak.fleet import Fleet, Worker
from tests.soak.hits import Hit, Kind, Stage
from tests.soak.tables import NOTES
from tests.support.proxy import Proxy
from tests.support.waiting import until

_PATIENCE_SECONDS = 4.0
"""How long a worker is waited for that enters the moment."""

_WORKERS = "application_name IN ('vectrue live', 'vectrue replay') AND client_port IS NOT NULL"


class Moments:
    """Kills at chosen steps of a worker, and commits that hang."""

    def __init__(self, stage: Stage, dsn: str, fleet: Fleet, postgres: Proxy, kafka: Proxy) -> None:
        """Nothing is hit yet. The proxies are those that the workers go through."""
        self._stage = stage
        self._dsn = dsn
        self._rows = Rows(dsn, ())
        self._fleet = fleet
        self._postgres = postgres
        self._kafka = kafka

    def kinds(self) -> list[Kind]:
        """All of them."""
        return [
            Kind("kill in write", "postgres", self._kill_in_write),
            Kind("kill at commit", "postgres", self._kill_at_commit),
            Kind("kill in deferral", "way kafka", self._kill_in_deferral),
            Kind("commit held", "postgres", self._commit_held),
        ]

    def _kill_in_write(self) -> Hit | None:
        """Vectors staged, rows locked, the UPDATE half way: it waits in the audit
        trigger, for a lock of ours.
        """
        try:
            connection = self._connect()
        except psycopg2.Error:
            return None
        try:
            with connection.cursor() as cursor:
                cursor.execute("SET lock_timeout = '2s'; LOCK TABLE soak.audit IN EXCLUSIVE MODE")
                return self._kill(
                    "kill in write", "wait_event_type = 'Lock' AND query LIKE '%UPDATE%'"
                )
        except psycopg2.Error:
            return None
        finally:
            connection.close()

    def _kill_at_commit(self) -> Hit | None:
        """The commit record is written, the answer never comes: written, and not
        acknowledged.
        """
        if not self._hold():
            return None
        try:
            return self._kill("kill at commit", "wait_event = 'SyncRep'")
        finally:
            self._release()

    def _kill_in_deferral(self) -> Hit | None:
        """Rows changed and locked at once, Kafka silent when they are to be deferred,
        every live worker killed.
        """
        try:
            connection = self._connect()
        except psycopg2.Error:
            return None
        try:
            self._lock_fresh(connection)
            self._stage.let_pass(self._stage.random.uniform(0.05, 0.25))
            self._kafka.stall()
            self._stage.let_pass(0.4)
            workers = [worker for worker in self._fleet.running("live") if not worker.is_stopped]
            for worker in workers:
                self._fleet.send(worker, signal.SIGKILL)
        except psycopg2.Error:
            return None
        finally:
            self._kafka.mend()
            connection.close()
        names = ", ".join(worker.name for worker in workers)
        return self._stage.made("kill in deferral", names) if workers else None

    def _connect(self) -> psycopg2.extensions.connection:
        """A session whose commits do not wait when those of all others are held."""
        return psycopg2.connect(
            self._dsn,
            connect_timeout=5,
            application_name="soak moment",
            options="-c synchronous_commit=local",
        )

    def _lock_fresh(self, connection: psycopg2.extensions.connection) -> None:
        """Touch some rows, and take them again before anyone else does."""
        chosen = f"SELECT id FROM {NOTES.name} ORDER BY id LIMIT 5 FOR UPDATE SKIP LOCKED"
        with connection.cursor() as cursor:
            cursor.execute(
                f"UPDATE {NOTES.name} SET note = note || ' ' WHERE id IN ({chosen}) RETURNING id"
            )
            ids = [id_ for (id_,) in cursor.fetchall()]
            connection.commit()
            cursor.execute(
                f"SELECT FROM {NOTES.name} WHERE id = ANY(%s::uuid[]) FOR UPDATE SKIP LOCKED",
                (ids,),
            )

    def _commit_held(self) -> Hit | None:
        if not self._hold():
            return None
        hold = self._stage.random.uniform(0.5, 4.0)
        # In time, and not behind the next hits of the group, which may commit something
        # themselves.
        threading.Timer(hold, self._release).start()
        return self._stage.made("commit held", "every commit of Postgres", hold, self._release)

    def _kill(self, kind: str, condition: str) -> Hit | None:
        """Kill the worker whose session is in this state; None when none is for a
        while.
        """
        found: list[Worker] = []

        def seen() -> bool:
            found.extend(self._who(condition))
            return bool(found)

        with suppress(AssertionError):
            until(seen, timeout=_PATIENCE_SECONDS, what="a worker in that moment")
            self._fleet.send(found[0], signal.SIGKILL)
            return self._stage.made(kind, found[0].name)
        return None

    def _who(self, condition: str) -> list[Worker]:
        try:
            found = self._rows.ask(
                f"SELECT client_port FROM pg_stat_activity WHERE {_WORKERS} AND {condition}"
            )
        except psycopg2.Error:
            return []
        ports = {self._postgres.client_port(int(port)) for (port,) in found}
        workers = [*self._fleet.running("live"), *self._fleet.running("replay")]
        return [w for w in workers if not w.is_stopped and ports & _ports(w.process.pid)]

    def _hold(self) -> bool:
        try:
            self._set("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
        except psycopg2.Error:
            return False
        return True

    def _release(self) -> None:
        until(
            self._attempt(lambda: self._set("ALTER SYSTEM RESET synchronous_standby_names")),
            what="Postgres",
            timeout=60,
        )

    def _set(self, statement: str) -> None:
        self._rows.ask(statement)
        self._rows.ask("SELECT pg_reload_conf()")

    def _attempt(self, work: Callable[[], None]) -> Callable[[], bool]:
        def done() -> bool:
            try:
                work()
            except psycopg2.Error:
                return False
            return True

        return done


def _ports(pid: int) -> set[int | None]:
    """Local ports of a process's connections."""
    try:
        return {found.laddr[1] for found in psutil.Process(pid).net_connections("tcp")}
    except psutil.Error:
        return set()
