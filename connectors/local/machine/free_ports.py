"""Ports on loopback: choosing some that stay free while the stack is down, and saying
who took one.

Hazard: a port inside the operating system's ephemeral range can be handed to any
outgoing connection while the stack is down, so ports are taken from below that range
where it leaves room.
"""

import errno
import random
import socket
from collections.abc import Collection
from pathlib import Path

import psutil

from schemas.errors import ConfigurationError

_LOWEST = 15_000  # below are the customary ports of the services themselves
_EPHEMERAL_LOW = 32_768  # Linux's default; macOS and Windows begin at 49152
_RANGE_FILE = Path("/proc/sys/net/ipv4/ip_local_port_range")


def choose(count: int) -> list[int]:
    """Free loopback ports, all different, chosen at random so that stacks made at once
    do not meet.

    Raises:
        ConfigurationError: fewer than `count` ports are free.
    """
    candidates = list(range(_LOWEST, max(_ephemeral_low(), _LOWEST + 1_000)))
    random.shuffle(candidates)
    chosen: list[int] = []
    for port in candidates:
        if len(chosen) == count:
            return chosen
        if is_free(port):
            chosen.append(port)
    raise ConfigurationError(
        f"no {count} free ports between {_LOWEST} and {_ephemeral_low()} on 127.0.0.1",
        fix="stop other services",
    )


def is_free(port: int) -> bool:
    """Whether a server could listen on 127.0.0.1:`port` now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: connections of an earlier server in TIME_WAIT are no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
            raise
        return True


def accepts(port: int) -> bool:
    """Whether something accepts connections on 127.0.0.1:`port`."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1.0).close()
    except OSError:
        return False
    return True


def require_free(part: str, ports: Collection[int], directory: Path) -> None:
    """Refuse to start a part whose port somebody else took while the stack was down.

    Raises:
        ConfigurationError: names the port, the part and, where it can be seen, the
            process.
    """
    for port in ports:
        if not is_free(port):
            raise ConfigurationError(
                f"port {port} of {part} in the stack {directory} is in use{_holder(port)}",
                fix=(
                    "stop that process, or let the stack choose new ports: vectrue local reset "
                    f"--dir {directory}"
                ),
            )


def _holder(port: int) -> str:
    """Who listens on the port, in words; nothing where the system does not tell us."""
    try:
        connections = psutil.net_connections(kind="tcp")
    except psutil.AccessDenied:
        return " by another process"
    for connection in connections:
        local = connection.laddr
        if (
            local
            and local.port == port
            and connection.status == psutil.CONN_LISTEN
            and connection.pid
        ):
            try:
                return f" by process {connection.pid} ({psutil.Process(connection.pid).name()})"
            except psutil.NoSuchProcess:
                break
    return " by another process"


def _ephemeral_low() -> int:
    try:
        return int(_RANGE_FILE.read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return _EPHEMERAL_LOW
