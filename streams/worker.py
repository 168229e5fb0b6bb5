"""One worker process: checks, then Faust until it is asked to stop.

Exit codes: 0 asked to stop, 70 restart me, 78 the configuration is wrong and restarting will not help.
"""

import os
import signal
from typing import Any, Literal

import structlog
from prometheus_client import start_http_server

from connectors.kafka import topics
from schemas.errors import EXIT_RESTART, ConfigurationError, EmbedsyncError, TransientError
from schemas.settings import Settings
from streams import logs
from streams.lanes import Lane, open_lane

log = structlog.get_logger()

Role = Literal["live", "replay"]
ROLES: tuple[Role, ...] = ("live", "replay")


def run(settings: Settings, role: Role) -> int:
    """Work in the foreground until SIGTERM or Ctrl-C.

    Returns:
        the exit code.
    """
    logs.configure(settings.log, role=role)
    try:
        lane = _start(settings, role)
    except TransientError as error:
        log.critical("worker leaves", exit_code=EXIT_RESTART, reason=str(error))
        return EXIT_RESTART
    except EmbedsyncError as error:
        log.critical("worker leaves", exit_code=error.exit_code, reason=str(error))
        return error.exit_code
    try:
        return _consume(settings, lane, role)
    finally:
        lane.store.close()


def _start(settings: Settings, role: Role) -> Lane:
    lane = open_lane(settings, role)
    wanted = [settings.replay_topic]
    if role == "live":
        wanted = [settings.deferred_topic, *(t.table.topic(settings.kafka.topic_prefix) for t in settings.tables)]
    # A topic that does not exist yet is left out of Faust's assignment without an error.
    missing = topics.missing(settings, [*wanted, settings.dead_letter_topic])
    if missing:
        raise ConfigurationError(f"topic {missing[0]} does not exist", fix="run `embedsync init`")
    _serve_metrics(settings.metrics.live_port if role == "live" else settings.metrics.replay_port)
    if role == "live":
        lane.embedder.load()
    else:
        os.nice(settings.replay.nice)
    log.info("worker ready", model=lane.embedder.model_id, tables=[target.name for target in lane.targets])
    return lane


def _serve_metrics(port: int | None) -> None:
    if port is None:
        return
    try:
        start_http_server(port, addr="127.0.0.1")
    except OSError as error:
        raise ConfigurationError(
            f"port {port} of the metrics endpoint is in use ({error.strerror})", fix="choose another metrics port"
        ) from error


def _consume(settings: Settings, lane: Lane, role: Role) -> int:
    import faust

    from streams import app as application

    app = application.build(settings, lane, role)
    app.finalize()
    # quiet: no banner; override_logging False: our own logging stays as it is.
    options: dict[str, Any] = {"loglevel": "WARN", "quiet": True, "redirect_stdouts": False, "override_logging": False}
    worker = faust.Worker(app, **options)
    try:
        worker.execute_from_commandline()
    except SystemExit as done:
        if app.crashed or worker.crashed or done.code not in (0, None):
            log.critical("worker leaves", exit_code=EXIT_RESTART, reason=f"Faust gave up ({app.crash_reason!r})")
            return EXIT_RESTART
    log.info("worker stopped")
    return 0


def stop_signals() -> tuple[signal.Signals, ...]:
    """Signals that ask a worker or its supervisor to stop."""
    return (signal.SIGTERM, signal.SIGINT)
