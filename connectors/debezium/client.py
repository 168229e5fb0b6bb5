"""Kafka Connect over REST, and the configuration of the Debezium connector that
captures keys.

Hazards:
- The include lists are regular expressions that ignore case, split at commas, with
  white space cut off: every character of a name that is not a letter, a digit or an
  underscore is written as its code point.
- Connect answers before it has done anything: a connector is RUNNING for a moment, also
  with a task that fails. So a change of the configuration goes through STOPPED, where
  no task of the old one is left, and callers wait for the slot to be read, not for the
  word RUNNING alone.
- The configuration holds the database password; it is never put into a message.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_fixed

from connectors.debezium.always import ALWAYS, EXACT
from connectors.ports import Clock
from schemas.errors import ConfigurationError, TransientError, VectrueError
from schemas.health import canary
from schemas.rows.target import Target
from schemas.settings.reading import Settings

_POLL_SECONDS = 0.1
_REQUEST_SECONDS = 60.0
"""Connect itself gives a request 90 s; validating a configuration includes connecting
to the database.
"""
_STOP_SECONDS = 30.0
_REBALANCE_PAUSE = 0.5  # seconds
_REBALANCE_ATTEMPTS = 60
# a GET meanwhile is answered with 500 instead of 409
_REBALANCE_WORDS = "a rebalance is expected"
_SENTENCE = 500  # characters of a task's error that are shown


@dataclass(frozen=True, slots=True)
class CapturedDatabase:
    """The database as the connector reaches it; `sslmode` and `sslrootcert` (a PEM file
    there) are libpq's.
    """

    host: str
    port: int
    name: str
    user: str
    password: str | None
    sslmode: str | None
    sslrootcert: str | None = None


@dataclass(frozen=True, slots=True)
class ConnectorStatus:
    """State of a connector: RUNNING, PAUSED, STOPPED, FAILED, UNASSIGNED, RESTARTING;
    and of its tasks.
    """

    state: str
    tasks: tuple[str, ...]
    error: str | None

    @property
    def is_running(self) -> bool:
        """Whether the connector and at least one task run, and none does not."""
        return (
            self.state == "RUNNING"
            and bool(self.tasks)
            and all(task == "RUNNING" for task in self.tasks)
        )


class _Rebalancing(Exception):
    """Connect asks to try again later."""


def connector_config(
    settings: Settings,
    database: CapturedDatabase,
    targets: Sequence[Target],
    *,
    origin_filter: bool,
    heartbeat_query: str,
) -> dict[str, str]:
    """The connector's configuration.

    Args:
        settings: names, prefix, intervals.
        database: where the connector connects to.
        targets: their tables and key columns are captured, and the canary, nothing
            else.
        origin_filter: whether the server can leave writes with an origin out
            (PostgreSQL 16); an older one refuses to stream when asked to.
        heartbeat_query: what moves the slot while the tables are quiet.
    """
    captured = {target.table: [column.name for column in target.key] for target in targets}
    captured[canary.TABLE] = list(canary.COLUMNS)
    tables = sorted({pattern(table.schema, table.name) for table in captured})
    columns = sorted(
        {pattern(t.schema, t.name, column) for t, names in captured.items() for column in names}
    )
    config = {
        **ALWAYS,
        "database.hostname": database.host,
        "database.port": str(database.port),
        "database.dbname": database.name,
        "database.user": database.user,
        "topic.prefix": settings.kafka.topic_prefix,
        "slot.name": settings.slot,
        "publication.name": settings.postgres.publication,
        "table.include.list": ",".join(tables),
        "column.include.list": ",".join(columns),
        "heartbeat.interval.ms": str(settings.connect.heartbeat_seconds * 1000),
        "heartbeat.action.query": heartbeat_query,
        "poll.interval.ms": str(settings.connect.poll_interval_ms),
    }
    if database.password is not None:
        config["database.password"] = database.password
    if database.sslmode is not None:
        config["database.sslmode"] = database.sslmode
    if database.sslrootcert is not None:
        config["database.sslrootcert"] = database.sslrootcert
    if origin_filter:
        config["slot.stream.params"] = "origin=none"
    return config


def pattern(*names: str) -> str:
    """A regular expression of Java that matches exactly these names joined by dots, and
    survives Debezium's lists.
    """
    return EXACT + r"\.".join("".join(_escape(character) for character in name) for name in names)


def _escape(character: str) -> str:
    return character if character.isalnum() or character == "_" else f"\\x{{{ord(character):x}}}"


def _parsed(url: str) -> httpx.URL:
    """The address, or an error without any part of it: an @ or / in a password makes a
    host or path of the rest.
    """
    try:
        parsed = httpx.URL(url.rstrip("/"))
    except httpx.InvalidURL:
        parsed = None
    if parsed is None or "@" in parsed.path:
        raise ConfigurationError(
            "connect.url is no URL",
            fix="write it as http://host:8083, with @ of a password as %40 and / as %2F",
        )
    return parsed


class KafkaConnect:
    """One Kafka Connect cluster."""

    def __init__(
        self, url: str, clock: Clock, *, transport: httpx.BaseTransport | None = None
    ) -> None:
        """Remember where it is; nothing is asked yet.

        Args:
            url: of the REST interface; may hold a user and a password.
            clock: for pauses and deadlines.
            transport: stands in for the network in tests.

        Raises:
            ConfigurationError: it is no URL.
        """
        self._clock = clock
        base = _parsed(url)
        self.shown = str(base.copy_with(userinfo=b"")).rstrip("/")
        """Its address, without user and password."""
        # trust_env=False: settings are read in one place, and a proxy of the
        # environment is none of them.
        self._client = httpx.Client(
            base_url=base, timeout=_REQUEST_SECONDS, trust_env=False, transport=transport
        )

    def check(self) -> None:
        """Ask whether it answers.

        Raises:
            TransientError: it does not.
        """
        self._call("GET", "/")

    def version(self) -> str | None:
        """Release of the Postgres connector that is installed; None when there is none."""
        plugins = self._call("GET", "/connector-plugins")
        return next(
            (str(p["version"]) for p in plugins if p["class"] == ALWAYS["connector.class"]), None
        )

    def config(self, name: str) -> dict[str, str] | None:
        """A connector's configuration; None when there is none of that name."""
        answer = self._call("GET", f"{_path(name)}/config", absent_is_none=True)
        return None if answer is None else {str(key): str(value) for key, value in answer.items()}

    def register(
        self, name: str, config: Mapping[str, str], *, forget_offsets: bool = False
    ) -> bool:
        """Create a connector, or give it another configuration, and let it run.

        Args:
            name: of the connector.
            config: whole; what it does not name is removed.
            forget_offsets: whether the connector starts where its slot starts, not
                where it was.

        Returns:
            whether anything had to be done.

        Raises:
            VectrueError: Connect refuses the configuration; the message is Connect's.
            TransientError: Connect does not answer.
        """
        before = self.config(name)
        wanted = {"name": name, **config}
        if before == wanted and not forget_offsets and self._is_sound(name):
            return False
        if before is None:
            # Connect keeps the offsets of a deleted connector, and they may be older
            # than the slot, which would fail the task: so a new one of its name starts
            # stopped, too, and then where the slot stands.
            self._call(
                "POST", "/connectors", {"name": name, "config": wanted, "initial_state": "STOPPED"}
            )
            self._call("DELETE", f"{_path(name)}/offsets")
        else:
            self.stop(name)
            # first: who is interrupted here still sees that the connector read
            # something else
            if forget_offsets:
                self._call("DELETE", f"{_path(name)}/offsets")
            self._reconfigure(name, before, wanted)
        self.resume(name)
        return True

    def offset(self, name: str) -> int | None:
        """Position in the log up to which a connector has read, as a number; None when
        it has read nothing yet.
        """
        answer = self._call("GET", f"{_path(name)}/offsets", absent_is_none=True)
        read = [
            part["offset"].get("lsn")
            for part in (answer or {}).get("offsets", [])
            if part.get("offset")
        ]
        return max((int(position) for position in read if position is not None), default=None)

    def status(self, name: str) -> ConnectorStatus | None:
        """How a connector is; None when there is none of that name, or it is not known
        yet.
        """
        answer = self._call("GET", f"{_path(name)}/status", absent_is_none=True)
        if answer is None:
            return None
        parts = [answer["connector"], *answer["tasks"]]
        traces = [reason(part.get("trace", "")) for part in parts if part["state"] == "FAILED"]
        states = tuple(str(task["state"]) for task in answer["tasks"])
        return ConnectorStatus(
            str(answer["connector"]["state"]), states, traces[-1] if traces else None
        )

    def wait_running(
        self, name: str, deadline: float = 60.0, also: Callable[[], bool] = lambda: True
    ) -> None:
        """Return when the connector and its task run.

        Args:
            name: of the connector.
            deadline: seconds until the wait is given up.
            also: what must hold besides, for example that the slot is read.

        Raises:
            VectrueError: a task failed, with its own message.
            TransientError: the deadline passed.
        """
        end = self._clock.monotonic() + deadline
        while True:
            status = self.status(name)
            if status is not None and status.error is not None:
                raise VectrueError(
                    f"connector {name} failed: {status.error}",
                    fix="mend that, then run `vectrue init`",
                )
            if status is not None and status.is_running and also():
                return
            if self._clock.monotonic() > end:
                state = (
                    "not known to Kafka Connect"
                    if status is None
                    else f"{status.state}, tasks {list(status.tasks)}"
                )
                raise TransientError(
                    f"connector {name} does not stream after {deadline:g} s ({state})",
                    fix="see the log of Kafka Connect",
                )
            self._clock.wait(_POLL_SECONDS)

    def restart(self, name: str) -> None:
        """Restart a connector and its tasks."""
        self._call("POST", f"{_path(name)}/restart?includeTasks=true")

    def pause(self, name: str) -> None:
        """Let it keep its tasks but read nothing."""
        self._call("PUT", f"{_path(name)}/pause")

    def resume(self, name: str) -> None:
        """Let a paused or stopped connector run."""
        self._call("PUT", f"{_path(name)}/resume")

    def stop(self, name: str) -> None:
        """End its tasks, and return when they have; its slot is then free. Does nothing
        when it does not exist.

        Raises:
            TransientError: a task does not end within 30 s.
        """
        if self._call("PUT", f"{_path(name)}/stop", absent_is_none=True) is None:
            return
        end = self._clock.monotonic() + _STOP_SECONDS
        while (status := self.status(name)) is None or status.state != "STOPPED" or status.tasks:
            if self._clock.monotonic() > end:
                raise TransientError(
                    f"connector {name} does not stop", fix="see the log of Kafka Connect"
                )
            self._clock.wait(_POLL_SECONDS)

    def reconfigure(self, name: str, config: Mapping[str, str]) -> None:
        """Give a connector another configuration; one that is stopped stays so. Raises
        as `register`.
        """
        self._call("PUT", f"{_path(name)}/config", {"name": name, **config})

    def delete(self, name: str) -> None:
        """Remove a connector; its offsets stay. Does nothing when it does not exist."""
        self._call("DELETE", f"{_path(name)}", absent_is_none=True)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _reconfigure(self, name: str, before: Mapping[str, str], wanted: Mapping[str, str]) -> None:
        if before == wanted:
            return
        try:
            self.reconfigure(name, wanted)
        except VectrueError:
            self.resume(name)  # what ran before goes on
            raise

    def _is_sound(self, name: str) -> bool:
        status = self.status(name)
        return status is not None and status.state == "RUNNING" and status.error is None

    def _call(
        self, method: str, path: str, body: Any = None, *, absent_is_none: bool = False
    ) -> Any:
        retrying = Retrying(
            retry=retry_if_exception_type(_Rebalancing),
            stop=stop_after_attempt(_REBALANCE_ATTEMPTS),
            wait=wait_fixed(_REBALANCE_PAUSE),
            sleep=self._clock.wait,
            retry_error_callback=lambda _: self._unanswered("is rebalancing"),
        )
        return retrying(self._once, method, path, body, absent_is_none)

    def _once(self, method: str, path: str, body: Any, absent_is_none: bool) -> Any:
        try:
            answer = self._client.request(method, path, json=body)
        except httpx.HTTPError as error:
            return self._unanswered(str(error) or type(error).__name__, error)
        except UnicodeError as error:
            sentence = f"connect.url {self.shown} has no name of a machine"
            raise ConfigurationError(sentence, fix="correct connect.url") from error
        if answer.status_code == httpx.codes.CONFLICT or (
            answer.is_error and _REBALANCE_WORDS in answer.text
        ):
            raise _Rebalancing
        if answer.status_code == httpx.codes.NOT_FOUND and absent_is_none:
            return None
        if answer.is_error:
            raise VectrueError(
                f"Kafka Connect at {self.shown} refuses {method} {path}: {refusal(answer)}",
                fix="check [connect] and postgres.admin_dsn as Kafka Connect reaches them",
            )
        try:
            return answer.json() if answer.content else {}
        except (ValueError, RecursionError) as error:
            return self._unanswered("what answers there does not speak JSON", error)

    def _unanswered(self, why: str, cause: Exception | None = None) -> Any:
        raise TransientError(
            f"Kafka Connect does not answer at {self.shown} ({why})",
            fix="check connect.url and Kafka Connect",
        ) from cause


def _path(name: str) -> str:
    return f"/connectors/{quote(name, safe='')}"


def reason(trace: str) -> str:
    """The sentence of a Java stack trace that says what is wrong: its innermost cause."""
    lines = trace.strip().splitlines() or ["no reason given"]
    causes = [line.removeprefix("Caused by: ") for line in lines if line.startswith("Caused by: ")]
    said = (causes or lines)[-1 if causes else 0]
    kind, _, message = said.partition(": ")
    shown = message if message and " " not in kind else said
    return shown if len(shown) <= _SENTENCE else f"{shown[:_SENTENCE]}..."


def refusal(answer: httpx.Response) -> str:
    """The reasons in a refusal of Connect, without the sentences around them."""
    try:
        message = str(answer.json()["message"])
    except (ValueError, KeyError, TypeError):
        return f"HTTP {answer.status_code}"
    reasons = [
        line
        for line in message.splitlines()
        if line.strip()
        and not line.startswith(("Connector configuration is invalid", "You can also find"))
    ]
    return "; ".join(reasons) or message


def database_of(
    settings: Settings, parameters: Mapping[str, str], password: str | None
) -> CapturedDatabase:
    """The database as the connector reaches it.

    Args:
        settings: connect.database_host, connect.database_port and
            connect.database_sslrootcert win.
        parameters: libpq's names, of an open connection.
        password: what that connection used.

    Raises:
        ConfigurationError: it is reached through a Unix socket, which Java cannot use.
    """
    host = settings.connect.database_host or parameters.get("host") or "localhost"
    if host.startswith(("/", "@")):
        raise ConfigurationError(
            f"postgres.dsn leads to the Unix socket {host}, which Kafka Connect cannot use",
            fix="set connect.database_host to the server's address",
        )
    port = settings.connect.database_port or int(parameters.get("port") or 5432)
    sslmode = parameters.get("sslmode")
    root = settings.connect.database_sslrootcert or parameters.get("sslrootcert")
    return CapturedDatabase(
        host, port, parameters["dbname"], parameters["user"], password or None, sslmode, root
    )
