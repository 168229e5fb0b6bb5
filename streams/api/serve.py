"""`vectrue serve`: the HTTP server, from its settings to its end.

Asked to stop, it takes no more connections, finishes the requests in hand and leaves
with 0.

Hazard: uvicorn sends itself the signal again once it is done, for whoever started it;
here nothing is left to do then.
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
        ConfigurationError: the address is not loopback and there is no token, the port
            is taken, or the database does not fit the settings.
        ModelUnavailable: the weights are not on this machine.
    """
    with bind(settings.serve) as bound:
        asyncio.run(_serve(settings, bound))
    log.info("server stopped")
    return 0


def bind(settings: ServeSettings) -> socket.socket:
    """The socket, bound but not listening yet: until the models are loaded, whoever
    asks is refused at once.

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
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM
        )[0]
        with ExitStack() as unless_bound:
            bound = unless_bound.enter_context(socket.socket(family, kind, protocol))
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind(address)
            unless_bound.pop_all()
            return bound
    # the second for what no name of a machine can be
    except (OSError, UnicodeError) as error:
        why = (
            error.strerror if isinstance(error, OSError) else None
        ) or "this is no name of a machine"
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
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=round(settings.serve.request_seconds) + LEAVE_SECONDS,
        )
        server = uvicorn.Server(config)
        for one in (signal.SIGTERM, signal.SIGINT):
            signal.signal(one, lambda *_: None)
        host, port = bound.getsockname()[:2]
        log.info("server ready", address=f"http://{f'[{host}]' if ':' in host else host}:{port}")
        await server.serve(sockets=[bound])
    finally:
        await engine.close()
