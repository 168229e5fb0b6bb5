"""One worker process: checks, then Faust until it is asked to stop.

Exit codes: 0 asked to stop, 70 restart me, 78 the configuration is wrong and restarting
will not help.
"""

import functools
import os
import socket
from typing import Any, Literal, NoReturn

import structlog
from prometheus_client import start_http_server

from connectors.clock import SystemClock
from connectors.kafka import rights, security, topics
from connectors.kafka.offsets import KafkaOffsets
from connectors.postgres.session import Session
from schemas.errors import EXIT_RESTART, ConfigurationError, VectrueError
from schemas.settings.reading import Settings
from streams.common import logs
from streams.keeper import origin_watch
from streams.keeper.keeper import open_keeper
from streams.worker.canary import open_writer
from streams.worker.lanes import Lane, open_lane
from streams.worker.niceness import step_back
from streams.worker.watches.positions import HandledPositions
from streams.worker.watches.targets import is_set_up_now
from streams.worker.watches.topic_parts import open_watch
from streams.worker.watches.topics import TopicWatch
from streams.worker.watches.watchdog import Heartbeat, ShutdownDeadline, Watchdog

log = structlog.get_logger()

Role = Literal["live", "replay"]
ROLES: tuple[Role, ...] = ("live", "replay")


def run(settings: Settings, role: Role) -> NoReturn:
    """Work in the foreground until SIGTERM or Ctrl-C, then end the process with the
    exit code.

    It ends without Python's own clean-up, which waits for every thread that is asking a
    broker or a database that is away (seen: 18 s between "worker stopped" and the end,
    by when a supervisor kills).
    """
    code = _work(settings, role)
    logs.flush()
    os._exit(code)


def _work(settings: Settings, role: Role) -> int:
    logs.configure(settings.log, role=role)
    try:
        lane = _start(settings, role)
        try:
            watch, positions = _look_at_topics(settings, lane, role)
            return _consume(settings, lane, role, watch, positions)
        finally:
            lane.store.close()
    except ConfigurationError as error:
        code, reason = error.exit_code, str(error)
        if _is_set_up_now(settings):
            code, reason = (
                EXIT_RESTART,
                f"`vectrue init` is at work, and this may be over after it ({error})",
            )
        log.critical("worker leaves", exit_code=code, reason=reason)
        return code
    except Exception as error:
        bug = None if isinstance(error, VectrueError) else error
        log.critical(
            "worker leaves", exit_code=EXIT_RESTART, reason=str(error) or repr(error), exc_info=bug
        )
        return EXIT_RESTART


def _start(settings: Settings, role: Role) -> Lane:
    security.transport(settings.kafka.security)
    lane = open_lane(settings, role)
    _require_rights(settings, role)
    # A topic that does not exist yet is left out of Faust's assignment without an
    # error.
    missing = topics.missing(
        settings, [*topics_of(settings, role), settings.deferred_topic, settings.dead_letter_topic]
    )
    if missing:
        raise ConfigurationError(f"topic {missing[0]} does not exist", fix="run `vectrue init`")
    _serve_metrics(settings.metrics.live_port if role == "live" else settings.metrics.replay_port)
    if role == "live":
        lane.embedders.load()
    else:
        step_back(settings.replay.nice)
    log.info(
        "worker ready",
        model=", ".join(lane.embedders.ids),
        tables=[target.name for target in lane.targets],
    )
    return lane


def _is_set_up_now(settings: Settings) -> bool:
    """Whether an `init` is at work: a worker that its first statements started anew may
    come before its last ones.
    """
    session = Session(settings.postgres.dsn, role="start", prefix=settings.kafka.topic_prefix)
    try:
        return is_set_up_now(session)
    finally:
        session.close()


def _require_rights(settings: Settings, role: Role) -> None:
    """Ask before consuming, and again when nothing moves: without its group's right a
    consumer waits in silence.
    """
    # replay looks at those of live as well
    names = {*topics_of(settings, "live"), *topics_of(settings, "replay")}
    topics.require_rights(settings, rights.of(role, settings.kafka.topic_prefix), sorted(names))


def _serve_metrics(port: int | None) -> None:
    if port is None:
        return
    try:
        start_http_server(port, addr="127.0.0.1")
    except OSError as error:
        raise ConfigurationError(
            f"port {port} of the metrics endpoint is in use ({error.strerror})",
            fix="choose another metrics port",
        ) from error


def _look_at_topics(
    settings: Settings, lane: Lane, role: Role
) -> tuple[TopicWatch, HandledPositions]:
    """See what happened to topics and group while this worker was not there; before it
    consumes.
    """
    watch, positions = open_watch(
        settings, role, topics_of(settings, role), lane.targets, lane.clock
    )
    watch.begin()
    return watch, positions


def _consume(
    settings: Settings, lane: Lane, role: Role, watch: TopicWatch, positions: HandledPositions
) -> int:
    import faust

    from streams.worker import app as application

    client_id = f"vectrue-{role}-{socket.gethostname()}-{os.getpid()}"
    heartbeat = Heartbeat(lane.clock.monotonic(), list(streams_of(settings, role)))
    app = application.build(settings, lane, role, heartbeat, client_id, positions)
    app.finalize()
    outside = GroupMembership(settings, lane, role, client_id)
    Watchdog(heartbeat, lane.clock, settings.watchdog, outside, application.leave).start()
    watch.start(application.leave, client_id)
    restart = functools.partial(application.leave, EXIT_RESTART)
    origin_watch.start(settings, lane.clock, restart)
    open_keeper(settings, lane.clock, role).start(restart)
    if role == "live":
        open_writer(settings, lane.clock).start(restart)
    # quiet: no banner; override_logging False: our own logging stays as it is.
    options: dict[str, Any] = {
        "loglevel": "WARN",
        "quiet": True,
        "redirect_stdouts": False,
        "override_logging": False,
    }
    worker = faust.Worker(app, **options)
    # at the start it would write a terminal's escape sequence to stdout, whatever that
    # is
    worker.spinner = None

    def part(reason: str) -> None:
        application.leave(EXIT_RESTART if app.crashed or worker.crashed else 0, reason)

    # A clock of its own: the lane's is stopped to cut waits short.
    ShutdownDeadline(lambda: worker.should_stop or app.should_stop, SystemClock(), part).start()
    try:
        worker.execute_from_commandline()
    except SystemExit as done:
        if app.crashed or worker.crashed or done.code not in (0, None):
            log.critical(
                "worker leaves",
                exit_code=EXIT_RESTART,
                reason=f"Faust gave up ({app.crash_reason!r})",
            )
            return EXIT_RESTART
    log.info("worker stopped")
    return 0


class GroupMembership:
    """What the broker says about this worker, for the watchdog; a right taken away is a
    ConfigurationError.
    """

    def __init__(self, settings: Settings, lane: Lane, role: Role, client_id: str) -> None:
        """Remember whom to ask about."""
        self._settings = settings
        self._role = role
        self._offsets = KafkaOffsets(settings, lane.clock)
        self._client_id = client_id
        self._group = settings.live_group if role == "live" else settings.replay_group
        self._streams = streams_of(settings, role)

    def is_member(self) -> bool:
        """Whether the group lists this process."""
        _require_rights(self._settings, self._role)
        return self._client_id in self._offsets.client_ids(self._group)

    def lag(self, stream: str) -> int:
        """Events of a stream in the partitions that are assigned to this process; none
        counts during a rebalance.
        """
        _require_rights(self._settings, self._role)
        group = self._offsets.read({self._group: self._streams[stream]})[self._group]
        if group.state != "stable":
            return 0
        mine = [
            p
            for p in group.partitions
            if p.member is not None and p.member.client_id == self._client_id
        ]
        waiting = sum(p.waiting or 0 for p in mine)
        # One beat is always about to come: with a short limit, a look may fall between
        # its coming and its handling.
        return max(0, waiting - 1) if stream == "canary" else waiting


def streams_of(settings: Settings, role: Role) -> dict[str, list[str]]:
    """Topics that a role consumes, by the stream that the watchdog judges; `sync` and
    `canary` share an agent.
    """
    if role == "replay":
        return {"replay": [settings.replay_topic]}
    changes = {table.table.topic(settings.kafka.topic_prefix) for table in settings.tables}
    return {
        "sync": sorted(changes),
        "canary": [settings.canary_topic],
        "deferred": [settings.deferred_topic],
    }


def topics_of(settings: Settings, role: Role) -> list[str]:
    """Topics that a role consumes."""
    return [topic for topics_ in streams_of(settings, role).values() for topic in topics_]
