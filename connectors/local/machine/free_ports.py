"""Ports on loopback: choose some that stay free while the stack is down, and report
which process took one.

Hazard: the operating system may give a port of its ephemeral range to any outgoing
connection while the stack is down. So ports are chosen below that range if possible.
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
    """Return free loopback ports, all different.

    Args:
        count: how many.

    Raises:
        ConfigurationError: fewer than `count` ports are free.
    """
    # At random, so that stacks made at the same time do not choose the same ports.
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
    """Return whether a server could listen on 127.0.0.1:`port` now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do, which ignore an earlier server's connections in TIME_WAIT.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
            raise
        return True


def accepts(port: int) -> bool:
    """Return whether something accepts connections on 127.0.0.1:`port`."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1.0).close()
    except OSError:
        return False
    return True


def require_free(part: str, ports: Collection[int], directory: Path) -> None:
    """Check that no other process took a port of a part while the stack was down.

    Args:
        part: its name, for the error.
        ports: of the part.
        directory: DIR.

    Raises:
        ConfigurationError: a port is in use; names the port, the part and, if the
            system shows it, the process.
    """
    for port in ports:
        if not is_free(port):
            raise ConfigurationError(
                f"port {port} of {part} in the stack {directory} is in use by {_holder(port)}",
                fix="stop that process, or let the stack choose new ports: "
                f"vectrue local reset --dir {directory}",
            )


def _holder(port: int) -> str:
    """Name the process that listens on the port, if the system shows it."""
    try:
        pid = _listener(port)
        if pid is not None:
            return f"process {pid} ({psutil.Process(pid).name()})"
    except (psutil.AccessDenied, psutil.NoSuchProcess):
        pass
    return "another process"


def _listener(port: int) -> int | None:
    for connection in psutil.net_connections(kind="tcp"):
        if connection.status != psutil.CONN_LISTEN or not connection.pid:
            continue
        if connection.laddr and connection.laddr.port == port:
            return connection.pid
    return None


def _ephemeral_low() -> int:
    try:
        return int(_RANGE_FILE.read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return _EPHEMERAL_LOW
