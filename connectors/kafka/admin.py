"""An admin client that is renewed when it hangs.

Hazard: a client may stay deaf for long after its broker was killed (seen: describing a
group timed out again and again). So after any answer that its own library gave in place
of the broker (a timeout, a lost connection) the next call opens a new one.
"""

from collections import deque

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from connectors.kafka import client, errors
from connectors.kafka.rights import Right
from schemas.errors import VectrueError
from schemas.settings.reading import Settings

# Of what a client says through error_cb: it may be open for weeks.
_REMEMBERED = 8


class RenewingAdmin:
    """An admin client, and what it said meanwhile. One thread."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._admin: AdminClient | None = None
        self._said: deque[KafkaError] = deque(maxlen=_REMEMBERED)
        self._is_deaf = False

    def client(self) -> AdminClient:
        """The client; a new one at first and after an answer that was none.

        Raises:
            ConfigurationError: `kafka.security` holds an option that it does not take.
        """
        if self._is_deaf:
            self._admin, self._is_deaf = None, False
        if self._admin is None:
            self._said.clear()
            self._admin = client.opened(AdminClient, self._settings, error_cb=self._said.append)
        return self._admin

    def answered(self) -> None:
        """Forget what it complained of, since the broker has answered."""
        self._said.clear()

    def reason(self, error: KafkaException) -> str:
        """The words of an error; one of the library's own renews the client."""
        problem = error.args[0]
        # librdkafka's own errors are negative, the broker's are positive.
        if problem.code() < 0:
            self._is_deaf = True
        return errors.reason(problem)

    def away(self, problem: KafkaError, topic: str) -> VectrueError:
        """The error to raise when a topic could not be asked for.

        The next call connects again.
        """
        if self._admin is not None:
            # What the client said reaches `_said` in a poll only.
            self._admin.poll(0)
        self._admin = None
        right = Right("topic", topic, "DESCRIBE")
        return errors.error_of(self._settings, problem, right, said=tuple(self._said))

    def close(self) -> None:
        """Give the connection back."""
        self._admin = None
