"""The Kafka Connect of the local stack, distributed mode with one worker, Debezium on
its class path.
"""

import signal

import httpx

from connectors.local.machine import free_ports, properties, secured, versions
from connectors.local.machine.parts import PartName, Workshop
from connectors.local.machine.processes import Command
from connectors.local.services import java


class ConnectService:
    """The part `connect`."""

    name: PartName = "connect"
    version = f"{versions.KAFKA} + Debezium {versions.DEBEZIUM}"
    stop_signal = signal.SIGTERM

    def __init__(self, shop: Workshop) -> None:
        self._shop = shop
        self._home = shop.directory / "connect"

    @property
    def ports(self) -> tuple[int, ...]:
        """The port of the REST interface."""
        return (self._shop.state.connect_port,)

    @property
    def where(self) -> str:
        """The REST address."""
        return f"http://127.0.0.1:{self._shop.state.connect_port}"

    @property
    def mark(self) -> str:
        """A system property that exists only to be seen in the list of processes."""
        return f"-D{self._shop.mark(self.name)}"

    def prepare(self) -> None:
        """Write the properties. Connect keeps everything else in Kafka."""
        self._home.mkdir(mode=0o700, exist_ok=True)
        state = self._shop.state
        wanted = properties.connect(state.connect_port, state.kafka_port)
        secure = secured.connect(state, self._shop.directory) if state.secure else {}
        properties.write(self._home / "connect.properties", {**wanted, **secure})

    def command(self) -> Command:
        """One distributed worker."""
        main = ("org.apache.kafka.connect.cli.ConnectDistributed", "connect.properties")
        return java.command(self._shop, self.name, properties.CONNECT_JVM, main, self._home)

    def answers(self) -> bool:
        """Whether the REST interface lists connectors, which it does once the worker
        has joined its group.
        """
        if not free_ports.accepts(self._shop.state.connect_port):
            return False
        try:
            # trust_env=False: a proxy from the environment does not reach this
            # machine's loopback.
            with httpx.Client(trust_env=False, timeout=3.0) as client:
                return client.get(f"{self.where}/connectors").status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False

    def finish(self) -> None:
        """Nothing: connectors are registered by `vectrue init`."""
