"""`vectrue serve`: starts the HTTP server and stops it.

On SIGTERM or Ctrl-C it accepts no more connections, finishes the current requests and
exits 0.

Hazard: without a token the server must listen on loopback only; `bind` refuses any other
address.
"""

import asyncio
import signal
import socket
from contextlib import ExitStack

import structlog
import uvicorn

from connectors.clock import SystemClock
from schemas.errors import ConfigurationError
from schemas.settings.reading import Settings
from schemas.settings.sections import ServeSettings
from streams.api.connections import LEAVE_SECONDS, bounded
from streams.api.engine import Engine
from streams.api.guard import Guard, is_loopback
from streams.api.routes import build

log = structlog.get_logger(__name__)


def run(settings: Settings) -> int:
    """Serve in the foreground until SIGTERM or Ctrl-C.

    Returns:
        the exit code.

    Raises:
        ConfigurationError: the address is not loopback and no token is set, the port is
            in use, or the database does not fit the settings.
        ModelUnavailable: the weights are not on this machine.
    """
    with bind(settings.serve) as bound:
        asyncio.run(_serve(settings, bound))
    log.info("server stopped")
    return 0


def bind(settings: ServeSettings) -> socket.socket:
    """Bind the socket without listening.

    Raises:
        ConfigurationError: as `run`.
    """
    host, port = settings.host, settings.port
    if settings.token is None and not is_loopback(host):
        raise ConfigurationError(
            f"serve.host is {host}, which others can reach, and serve.token is not set",
            fix="set VECTRUE_SERVE__TOKEN (`openssl rand -hex 32`), or serve.host = 127.0.0.1",
        )
    try:
        return _bound(host, port)
    # UnicodeError: the text cannot be a host name.
    except (OSError, UnicodeError) as error:
        why = "this is not a host name"
        if isinstance(error, OSError) and error.strerror:
            why = error.strerror
        raise ConfigurationError(
            f"cannot listen on {host} port {port} ({why})",
            fix="choose another serve.host or serve.port",
        ) from error


async def _serve(settings: Settings, bound: socket.socket) -> None:
    engine = Engine(settings, SystemClock())
    try:
        await engine.start()
        config = uvicorn.Config(
            Guard(build(engine, settings.serve), settings.serve),
            http=bounded(settings.serve),
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            # Else a client on this machine could claim another address in a header.
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=round(settings.serve.request_seconds) + LEAVE_SECONDS,
        )
        server = uvicorn.Server(config)
        # uvicorn raises the signal again once it has stopped; nothing is left to do then.
        for one in (signal.SIGTERM, signal.SIGINT):
            signal.signal(one, lambda *_: None)
        host, port = bound.getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        log.info("server ready", address=f"http://{shown}:{port}")
        await server.serve(sockets=[bound])
    finally:
        # Also when the start failed, so that its sessions and threads end.
        await engine.close()


def _bound(host: str, port: int) -> socket.socket:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    family, kind, protocol, _, address = found[0]
    with ExitStack() as unless_bound:
        bound = unless_bound.enter_context(socket.socket(family, kind, protocol))
        # Else a server that is restarted waits a minute for its port (TIME_WAIT).
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Not listening yet: until the models are loaded, clients are refused at once.
        bound.bind(address)
        unless_bound.pop_all()
        return bound
