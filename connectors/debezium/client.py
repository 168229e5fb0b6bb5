"""Kafka Connect over REST: connectors made, changed, stopped and asked for.

Hazards:
- Connect answers before it has done anything: a connector is RUNNING for a moment, also
  with a task that fails. So a change of the configuration goes through STOPPED, where
  no task of the old one is left, and callers wait for the slot to be read, not for the
  word RUNNING alone.
- A configuration holds the database password; it is never put into a message.
"""

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

import httpx
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_fixed

from connectors.debezium import answers
from connectors.debezium.always import ALWAYS
from connectors.debezium.answers import ConnectorStatus
from connectors.ports import Clock
from schemas.errors import ConfigurationError, TransientError, VectrueError

_POLL_SECONDS = 0.1
# Connect itself gives a request 90 s: validating a configuration includes connecting to
# the database.
_REQUEST_SECONDS = 60.0
_STOP_SECONDS = 30.0
_REBALANCE_PAUSE = 0.5  # seconds
_REBALANCE_ATTEMPTS = 60
# A GET during a rebalance is answered with 500 instead of 409.
_REBALANCE_WORDS = "a rebalance is expected"


class _Rebalancing(Exception):
    """Connect asks to try again later."""


def _parsed(url: str) -> httpx.URL:
    try:
        parsed = httpx.URL(url.rstrip("/"))
    except httpx.InvalidURL:
        parsed = None
    # No part of it is shown: an @ or / in a password makes a host or path of the rest.
    if parsed is None or "@" in parsed.path:
        raise ConfigurationError(
            "connect.url is not a valid URL",
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
            ConfigurationError: `url` is not a valid URL.
        """
        self._clock = clock
        base = _parsed(url)
        self.shown = str(base.copy_with(userinfo=b"")).rstrip("/")
        """Its address, without user and password."""
        # trust_env=False: settings are read in one place, and a proxy of the environment
        # is not one of them.
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
        for plugin in plugins:
            if plugin["class"] == ALWAYS["connector.class"]:
                return str(plugin["version"])
        return None

    def config(self, name: str) -> dict[str, str] | None:
        """A connector's configuration; None when there is none of that name."""
        answer = self._call("GET", f"{_path(name)}/config", absent_is_none=True)
        if answer is None:
            return None
        return {str(key): str(value) for key, value in answer.items()}

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
            self._create(name, wanted)
        else:
            self.stop(name)
            # The offsets first: an `init` that is interrupted here still sees that the
            # connector read something else.
            if forget_offsets:
                self._call("DELETE", f"{_path(name)}/offsets")
            self._reconfigure(name, before, wanted)
        self.resume(name)
        return True

    def offset(self, name: str) -> int | None:
        """Position in the log up to which a connector has read, as a number.

        Returns:
            None when it has read nothing yet, or there is none of that name.
        """
        answer = self._call("GET", f"{_path(name)}/offsets", absent_is_none=True)
        return None if answer is None else answers.position(answer)

    def status(self, name: str) -> ConnectorStatus | None:
        """How a connector is.

        Returns:
            None when there is none of that name, or its status is not known yet.
        """
        answer = self._call("GET", f"{_path(name)}/status", absent_is_none=True)
        return None if answer is None else answers.status(answer)

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
                    fix="fix that, then run `vectrue init`",
                )
            if status is not None and status.is_running and also():
                return
            if self._clock.monotonic() > end:
                raise _not_streaming(name, status, deadline)
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
        """End its tasks, and return when they have ended; its slot is then free.

        Does nothing when it does not exist.

        Raises:
            TransientError: a task does not end within 30 s.
        """
        if self._call("PUT", f"{_path(name)}/stop", absent_is_none=True) is None:
            return
        end = self._clock.monotonic() + _STOP_SECONDS
        while not self._is_stopped(name):
            if self._clock.monotonic() > end:
                raise TransientError(
                    f"connector {name} does not stop", fix="see the log of Kafka Connect"
                )
            self._clock.wait(_POLL_SECONDS)

    def reconfigure(self, name: str, config: Mapping[str, str]) -> None:
        """Give a connector another configuration; one that is stopped stays so.

        Raises as `register`.
        """
        self._call("PUT", f"{_path(name)}/config", {"name": name, **config})

    def delete(self, name: str) -> None:
        """Remove a connector; its offsets stay. Does nothing when it does not exist."""
        self._call("DELETE", f"{_path(name)}", absent_is_none=True)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _create(self, name: str, config: Mapping[str, str]) -> None:
        # Connect keeps the offsets of a deleted connector, and they may be older than
        # the slot, which would fail the task: so a new one of its name starts stopped,
        # too, and then where the slot stands.
        new = {"name": name, "config": config, "initial_state": "STOPPED"}
        self._call("POST", "/connectors", new)
        self._call("DELETE", f"{_path(name)}/offsets")

    def _reconfigure(self, name: str, before: Mapping[str, str], wanted: Mapping[str, str]) -> None:
        if before == wanted:
            return
        try:
            self.reconfigure(name, wanted)
        except VectrueError:
            # The connector goes on as it was configured before.
            self.resume(name)
            raise

    def _is_stopped(self, name: str) -> bool:
        status = self.status(name)
        return status is not None and status.state == "STOPPED" and not status.tasks

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
            raise ConfigurationError(
                f"connect.url {self.shown} has an invalid host name",
                fix="correct connect.url",
            ) from error
        if answer.status_code == httpx.codes.CONFLICT or (
            answer.is_error and _REBALANCE_WORDS in answer.text
        ):
            raise _Rebalancing
        if answer.status_code == httpx.codes.NOT_FOUND and absent_is_none:
            return None
        if answer.is_error:
            raise VectrueError(
                f"Kafka Connect at {self.shown} refuses {method} {path}: {answers.refusal(answer)}",
                fix="check [connect] and postgres.admin_dsn as Kafka Connect reaches them",
            )
        try:
            return answer.json() if answer.content else {}
        # RecursionError: JSON that is nested too deeply.
        except (ValueError, RecursionError) as error:
            return self._unanswered("the service at that address did not return JSON", error)

    def _unanswered(self, why: str, cause: Exception | None = None) -> Any:
        raise TransientError(
            f"Kafka Connect does not answer at {self.shown} ({why})",
            fix="check connect.url and Kafka Connect",
        ) from cause


def _not_streaming(name: str, status: ConnectorStatus | None, seconds: float) -> TransientError:
    state = "not known to Kafka Connect"
    if status is not None:
        state = f"{status.state}, tasks {list(status.tasks)}"
    return TransientError(
        f"connector {name} does not stream after {seconds:g} s ({state})",
        fix="see the log of Kafka Connect",
    )


def _path(name: str) -> str:
    return f"/connectors/{quote(name, safe='')}"
