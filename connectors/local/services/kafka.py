"""The Kafka of the local stack: broker and controller in one process (KRaft)."""

import logging
import shutil
import signal
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from typing_extensions import override

from connectors.kafka import acls
from connectors.local.machine import free_ports, properties, secured, versions
from connectors.local.machine.parts import Part, PartName, StackContext, require_made, run_tool
from connectors.local.machine.processes import Command
from connectors.local.services import java

_QUIET = logging.getLogger("connectors.local.services.kafka.librdkafka")
_QUIET.addHandler(logging.NullHandler())
# While the broker starts, it refuses connections: not worth a log line.
_QUIET.propagate = False


class Kafka(Part):
    """The part `kafka`."""

    name: PartName = "kafka"
    version = versions.KAFKA
    stop_signal = signal.SIGTERM

    def __init__(self, context: StackContext) -> None:
        self._context = context
        self._home = context.directory / "kafka"

    @property
    @override
    def ports(self) -> tuple[int, ...]:
        """Ports of the broker and of the controller."""
        return self._context.state.kafka_port, self._context.state.controller_port

    @property
    @override
    def where(self) -> str:
        """The bootstrap server."""
        return f"127.0.0.1:{self._context.state.kafka_port}"

    @property
    @override
    def mark(self) -> str:
        """A system property that exists only to show in the list of processes."""
        return f"-D{self._context.mark(self.name)}"

    @override
    def prepare(self) -> None:
        """Write the properties, and format the log folder the first time.

        Raises:
            VectrueError: formatting failed.
        """
        # What Connect stores in Kafka holds the database password.
        self._home.mkdir(mode=0o700, exist_ok=True)
        state = self._context.state
        wanted = properties.broker(
            state.kafka_port, state.controller_port, self._context.second_listener
        )
        secure = secured.broker(state, self._context.directory) if state.secure else {}
        properties.write(self._home / "server.properties", {**wanted, **secure})
        # Formatting writes this file last. Without it a killed command left the folder.
        formatted = self._home / "data" / "meta.properties"
        if not formatted.exists():
            self._format(formatted)

    def _format(self, formatted: Path) -> None:
        state = self._context.state
        shutil.rmtree(self._home / "data", ignore_errors=True)
        arguments = ["format", "-t", state.cluster_id, "-c", "server.properties"]
        arguments.append("--standalone")
        users = self._home / "users.new"
        if state.secure:
            # Passwords as arguments would show in the list of processes, so the tool
            # reads them from a file.
            lines = secured.format_arguments(state)
            properties.write_private(users, "\n".join(lines))
            arguments.append(f"@{users.name}")
        tool = java.command(
            self._context,
            "kafka-format",
            properties.BROKER_JVM,
            ("kafka.tools.StorageTool", *arguments),
            self._home,
        )
        try:
            run_tool(self._context, "kafka-format", tool)
        finally:
            users.unlink(missing_ok=True)
        require_made(formatted, "formatting Kafka's log folder failed", tool.log)

    @override
    def command(self) -> Command:
        return java.command(
            self._context,
            self.name,
            properties.BROKER_JVM,
            ("kafka.Kafka", "server.properties"),
            self._home,
        )

    @override
    def answers(self) -> bool:
        """Return whether the broker answers a metadata request."""
        if not free_ports.accepts(self._context.state.kafka_port):
            return False
        try:
            return bool(self._admin().list_topics(timeout=2.0).brokers)
        except KafkaException:
            return False

    @override
    def finish(self) -> None:
        """Grant the users of a secure stack their rights; `vectrue init` creates topics."""
        if self._context.state.secure:
            acls.allow(self._admin(), secured.rights())

    def _admin(self) -> AdminClient:
        security = secured.client(self._context.state, self._context.directory, secured.ADMIN)
        options: dict[str, str | int] = {
            "bootstrap.servers": self.where,
            "reconnect.backoff.max.ms": 100,
            "log_level": 2,
        }
        return AdminClient({**options, **security}, logger=_QUIET)
