"""The Kafka Connect of the local stack: one distributed worker, with Debezium on its
class path.
"""

import signal

import httpx
from typing_extensions import override

from connectors.local.machine import free_ports, properties, secured, versions
from connectors.local.machine.parts import Part, PartName, StackContext
from connectors.local.machine.processes import Command
from connectors.local.services import java


class ConnectService(Part):
    """The part `connect`."""

    name: PartName = "connect"
    version = f"{versions.KAFKA} + Debezium {versions.DEBEZIUM}"
    stop_signal = signal.SIGTERM

    def __init__(self, context: StackContext) -> None:
        self._context = context
        self._home = context.directory / "connect"

    @property
    @override
    def ports(self) -> tuple[int, ...]:
        """The port of the REST interface."""
        return (self._context.state.connect_port,)

    @property
    @override
    def where(self) -> str:
        """The REST address."""
        return f"http://127.0.0.1:{self._context.state.connect_port}"

    @property
    @override
    def mark(self) -> str:
        """A system property that exists only to show in the list of processes."""
        return f"-D{self._context.mark(self.name)}"

    @override
    def prepare(self) -> None:
        """Write the properties; Connect stores everything else in Kafka."""
        self._home.mkdir(mode=0o700, exist_ok=True)
        state = self._context.state
        wanted = properties.connect(state.connect_port, state.kafka_port)
        secure = secured.connect(state, self._context.directory) if state.secure else {}
        properties.write(self._home / "connect.properties", {**wanted, **secure})

    @override
    def command(self) -> Command:
        main = ("org.apache.kafka.connect.cli.ConnectDistributed", "connect.properties")
        return java.command(self._context, self.name, properties.CONNECT_JVM, main, self._home)

    @override
    def answers(self) -> bool:
        """Return whether the REST interface lists connectors: the worker has joined its
        group.
        """
        if not free_ports.accepts(self._context.state.connect_port):
            return False
        try:
            # A proxy from the environment cannot reach this machine's loopback.
            with httpx.Client(trust_env=False, timeout=3.0) as client:
                answer = client.get(f"{self.where}/connectors")
        except httpx.HTTPError:
            return False
        return answer.status_code == httpx.codes.OK

    @override
    def finish(self) -> None:
        """Do nothing: `vectrue init` registers connectors."""
