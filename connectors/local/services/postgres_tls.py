"""The TLS side of a secure stack's Postgres: relay.py as a part of the stack."""

import signal
import sys
from pathlib import Path

import psycopg2
from typing_extensions import override

from connectors.local.machine import certificates, free_ports, properties
from connectors.local.machine.parts import Part, PartName, StackContext
from connectors.local.machine.processes import Command
from connectors.local.services import postgres
from connectors.local.services.postgres_programs import DEFAULT, Programs


class PostgresTls(Part):
    """The part `postgres-tls`, which only a secure stack has."""

    name: PartName = "postgres-tls"
    stop_signal = signal.SIGTERM

    def __init__(self, context: StackContext) -> None:
        self._context = context

    @property
    @override
    def version(self) -> str:
        """Return what it stands in front of."""
        return f"TLS for {Programs(self._context.state.postgres or DEFAULT).version}"

    @property
    @override
    def ports(self) -> tuple[int, ...]:
        """The port that clients use."""
        return (self._context.state.postgres_port,)

    @property
    @override
    def where(self) -> str:
        """Address and database."""
        return f"127.0.0.1:{self._context.state.postgres_port}/{properties.DATABASE}"

    @property
    @override
    def mark(self) -> str:
        """An argument that exists only to show in the list of processes."""
        return self._context.mark(self.name)

    @override
    def prepare(self) -> None:
        """Do nothing: the certificates exist before any part starts."""

    @override
    def command(self) -> Command:
        """Return how the relay is started."""
        state = self._context.state
        certificate = certificates.server(self._context.directory)
        return Command(
            argv=(
                sys.executable,
                "-m",
                "connectors.local.services.relay",
                str(state.postgres_port),
                str(state.server_port),
                str(certificate),
                self.mark,
            ),
            mark=self.mark,
            log=self._context.log(self.name),
            cwd=Path("/"),
        )

    @override
    def answers(self) -> bool:
        """Return whether the server behind it answers through TLS."""
        state = self._context.state
        if not free_ports.accepts(state.postgres_port):
            return False
        dsn = postgres.dsn(state, self._context.directory, "postgres")
        try:
            psycopg2.connect(dsn, connect_timeout=2).close()
        except psycopg2.OperationalError:
            return False
        return True

    @override
    def finish(self) -> None:
        """Do nothing: there is nothing to make."""
