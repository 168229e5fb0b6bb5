"""The TLS side of a secure stack's Postgres: relay.py as a part of the stack."""

import signal
import sys
from pathlib import Path

import psycopg2

from connectors.local.machine import certificates, free_ports, properties, versions
from connectors.local.machine.parts import PartName, Workshop
from connectors.local.machine.processes import Command
from connectors.local.services import postgres


class PostgresTls:
    """The part `postgres-tls`, which only a secure stack has."""

    name: PartName = "postgres-tls"
    version = f"TLS for {versions.POSTGRES}"
    stop_signal = signal.SIGTERM

    def __init__(self, shop: Workshop) -> None:
        self._shop = shop

    @property
    def ports(self) -> tuple[int, ...]:
        """The port that clients use."""
        return (self._shop.state.postgres_port,)

    @property
    def where(self) -> str:
        """Address and database."""
        return f"127.0.0.1:{self._shop.state.postgres_port}/{properties.DATABASE}"

    @property
    def mark(self) -> str:
        """An argument that exists only to be seen in the list of processes."""
        return self._shop.mark(self.name)

    def prepare(self) -> None:
        """Nothing: the certificates are there before any part starts."""

    def command(self) -> Command:
        """The relay."""
        state = self._shop.state
        arguments = (
            str(state.postgres_port),
            str(state.server_port),
            str(certificates.server(self._shop.directory)),
        )
        return Command(
            argv=(sys.executable, "-m", "connectors.local.services.relay", *arguments, self.mark),
            mark=self.mark,
            log=self._shop.log(self.name),
            cwd=Path("/"),
        )

    def answers(self) -> bool:
        """Whether the server behind it answers through TLS; false until that one runs."""
        state = self._shop.state
        if not free_ports.accepts(state.postgres_port):
            return False
        try:
            psycopg2.connect(
                postgres.dsn(state, self._shop.directory, "postgres"), connect_timeout=2
            ).close()
        except psycopg2.OperationalError:
            return False
        return True

    def finish(self) -> None:
        """Nothing."""
