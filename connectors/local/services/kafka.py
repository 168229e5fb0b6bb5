"""The Kafka of the local stack: broker and controller in one process (KRaft)."""

import logging
import shutil
import signal

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from connectors.kafka import acls
from connectors.local.machine import free_ports, properties, secured, versions
from connectors.local.machine.parts import PartName, Workshop, require_made, run_tool
from connectors.local.machine.processes import Command
from connectors.local.services import java

_QUIET = logging.getLogger("connectors.local.services.kafka.librdkafka")
_QUIET.addHandler(logging.NullHandler())
# a broker that is starting refuses connections; that is no news
_QUIET.propagate = False


class Kafka:
    """The part `kafka`."""

    name: PartName = "kafka"
    version = versions.KAFKA
    stop_signal = signal.SIGTERM

    def __init__(self, shop: Workshop) -> None:
        self._shop = shop
        self._home = shop.directory / "kafka"

    @property
    def ports(self) -> tuple[int, ...]:
        """Ports of the broker and of the controller."""
        return self._shop.state.kafka_port, self._shop.state.controller_port

    @property
    def where(self) -> str:
        """The bootstrap server."""
        return f"127.0.0.1:{self._shop.state.kafka_port}"

    @property
    def mark(self) -> str:
        """A system property that exists only to be seen in the list of processes."""
        return f"-D{self._shop.mark(self.name)}"

    def prepare(self) -> None:
        """Write the properties; format the log folder the first time.

        Raises:
            VectrueError: formatting failed.
        """
        # what Connect keeps there holds the database password
        self._home.mkdir(mode=0o700, exist_ok=True)
        state = self._shop.state
        wanted = properties.broker(state.kafka_port, state.controller_port, self._shop.side_door)
        secure = secured.broker(state, self._shop.directory) if state.secure else {}
        properties.write(self._home / "server.properties", {**wanted, **secure})
        # The last thing that formatting writes; without it the folder is what a killed
        # command left.
        formatted = self._home / "data" / "meta.properties"
        if formatted.exists():
            return
        shutil.rmtree(self._home / "data", ignore_errors=True)
        arguments = ["format", "-t", state.cluster_id, "-c", "server.properties", "--standalone"]
        users = self._home / "users.new"
        if state.secure:
            # A password among the arguments would be seen in the list of processes; the
            # tool reads them from a file.
            properties.write_private(users, "\n".join(secured.format_arguments(state)))
            arguments.append(f"@{users.name}")
        tool = java.command(
            self._shop,
            "kafka-format",
            properties.BROKER_JVM,
            ("kafka.tools.StorageTool", *arguments),
            self._home,
        )
        try:
            run_tool(self._shop, "kafka-format", tool)
        finally:
            users.unlink(missing_ok=True)
        require_made(formatted, "formatting Kafka's log folder failed", tool.log)

    def command(self) -> Command:
        """Broker and controller."""
        return java.command(
            self._shop,
            self.name,
            properties.BROKER_JVM,
            ("kafka.Kafka", "server.properties"),
            self._home,
        )

    def answers(self) -> bool:
        """Whether the broker answers a metadata request."""
        if not free_ports.accepts(self._shop.state.kafka_port):
            return False
        try:
            return bool(self._admin().list_topics(timeout=2.0).brokers)
        except KafkaException:
            return False

    def finish(self) -> None:
        """Give the users of a secure stack their rights; topics are created by `vectrue
        init`.
        """
        if self._shop.state.secure:
            acls.allow(self._admin(), secured.rights())

    def _admin(self) -> AdminClient:
        security = secured.client(self._shop.state, self._shop.directory, secured.ADMIN)
        options: dict[str, str | int] = {
            "bootstrap.servers": self.where,
            "reconnect.backoff.max.ms": 100,
            "log_level": 2,
        }
        return AdminClient({**options, **security}, logger=_QUIET)
