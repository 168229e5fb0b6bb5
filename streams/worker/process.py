"""One worker process: checks, then Faust until it is asked to stop.

Exit codes: 0 asked to stop, 70 restart me, 78 the configuration is wrong and restarting
will not help.

Hazard: the order is a rule. Rights and topics are checked, and what happened to the
topics meanwhile is looked at, before anything is consumed.
"""

import functools
import os
import socket
from itertools import chain
from typing import Any, Literal, NoReturn

import structlog
from prometheus_client import start_http_server
from typing_extensions import override

from connectors.clock import SystemClock
from connectors.kafka import rights, security, topics
from connectors.kafka.offsets import KafkaOffsets
from connectors.ports import Clock
from connectors.postgres.session import Session
from schemas.errors import EXIT_RESTART, ConfigurationError, VectrueError
from schemas.settings.reading import Settings
from streams.common import logs
from streams.common.niceness import lower_priority
from streams.keeper import origin_watch
from streams.keeper.keeper import open_keeper
from streams.worker.lanes import LiveLane, ReplayLane, open_live, open_replay
from streams.worker.runner import leave
from streams.worker.watches.canary import open_writer
from streams.worker.watches.positions import HandledPositions
from streams.worker.watches.targets import is_set_up_now
from streams.worker.watches.topic_parts import open_watch
from streams.worker.watches.topics import TopicWatch
from streams.worker.watches.watchdog import Heartbeat, Outside, ShutdownDeadline, Watchdog

log = structlog.get_logger()

Role = Literal["live", "replay"]
ROLES: tuple[Role, ...] = ("live", "replay")


def run(settings: Settings, role: Role) -> NoReturn:
    """Work in the foreground until SIGTERM or Ctrl-C, then end the process.

    Args:
        settings: everything.
        role: `live` or `replay`.
    """
    code = _work(settings, role)
    logs.flush()
    # Python's own clean-up waits for every thread that is asking a broker or a database
    # that is away: 18 s were seen, by when a supervisor may have killed the process.
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
            code = EXIT_RESTART
            reason = f"`vectrue init` is running: restarting with what it sets up ({error})"
        log.critical("worker exits", exit_code=code, reason=reason)
        return code
    except Exception as error:
        bug = None if isinstance(error, VectrueError) else error
        reason = str(error) or repr(error)
        log.critical("worker exits", exit_code=EXIT_RESTART, reason=reason, exc_info=bug)
        return EXIT_RESTART


def _start(settings: Settings, role: Role) -> LiveLane | ReplayLane:
    security.transport(settings.kafka.security)
    lane = open_live(settings) if role == "live" else open_replay(settings)
    _require_rights(settings, role)
    # Faust leaves a topic that does not exist out of its assignment, without an error.
    needed = topics_of(settings, role)
    needed += [settings.deferred_topic, settings.dead_letter_topic]
    missing = topics.missing(settings, needed)
    if missing:
        raise ConfigurationError(f"topic {missing[0]} does not exist", fix="run `vectrue init`")
    if role == "live":
        _serve_metrics(settings.metrics.live_port)
        lane.embedders.load()
    else:
        _serve_metrics(settings.metrics.replay_port)
        lower_priority(settings.replay.nice)
    log.info(
        "worker ready",
        model=", ".join(lane.embedders.ids),
        tables=[target.name for target in lane.targets],
    )
    return lane


def _is_set_up_now(settings: Settings) -> bool:
    """Whether `vectrue init` is running: its first statements may have restarted this
    worker before its last ones were made.
    """
    session = Session(settings.postgres.dsn, role="start", prefix=settings.kafka.topic_prefix)
    try:
        return is_set_up_now(session)
    finally:
        session.close()


def _require_rights(settings: Settings, role: Role) -> None:
    """Check the role's permissions, before consuming and again when nothing moves."""
    # Without the permission on its group a consumer waits in silence. A replay worker
    # looks at the live topics too.
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
    settings: Settings, lane: LiveLane | ReplayLane, role: Role
) -> tuple[TopicWatch, HandledPositions]:
    """Look at what happened to topics and group while this worker did not run."""
    watch, positions = open_watch(
        settings, role, topics_of(settings, role), lane.targets, lane.clock
    )
    watch.begin()
    return watch, positions


def _consume(
    settings: Settings,
    lane: LiveLane | ReplayLane,
    role: Role,
    watch: TopicWatch,
    positions: HandledPositions,
) -> int:
    import faust

    from streams.worker import app as application

    client_id = f"vectrue-{role}-{socket.gethostname()}-{os.getpid()}"
    heartbeat = Heartbeat(lane.clock.monotonic(), list(streams_of(settings, role)))
    app = application.build(settings, lane, heartbeat, positions, client_id=client_id)
    app.finalize()
    outside = GroupMembership(settings, lane.clock, role, client_id)
    Watchdog(heartbeat, lane.clock, settings.watchdog, outside, leave).start()
    watch.start(leave, client_id)
    restart = functools.partial(leave, EXIT_RESTART)
    origin_watch.start(settings, lane.clock, restart)
    open_keeper(settings, lane.clock, role).start(restart)
    if role == "live":
        open_writer(settings, lane.clock).start(restart)
    options: dict[str, Any] = {
        "loglevel": "WARN",
        # No banner.
        "quiet": True,
        "redirect_stdouts": False,
        # Our own logging stays.
        "override_logging": False,
    }
    worker = faust.Worker(app, **options)
    # At the start the spinner writes a terminal's escape sequence to stdout, even where
    # that is not a terminal.
    worker.spinner = None

    def has_crashed() -> bool:
        return bool(app.crashed or worker.crashed)

    def leave_late(reason: str) -> None:
        leave(EXIT_RESTART if has_crashed() else 0, reason)

    # A clock of its own: the lane's is stopped to cut waits short.
    ShutdownDeadline(
        lambda: worker.should_stop or app.should_stop, SystemClock(), leave_late
    ).start()
    try:
        worker.execute_from_commandline()
    except SystemExit as done:
        if has_crashed() or done.code not in (0, None):
            reason = f"Faust gave up ({app.crash_reason!r})"
            log.critical("worker exits", exit_code=EXIT_RESTART, reason=reason)
            return EXIT_RESTART
    log.info("worker stopped")
    return 0


class GroupMembership(Outside):
    """What the broker says about this worker, for the watchdog.

    A permission that was taken away is a ConfigurationError.
    """

    def __init__(self, settings: Settings, clock: Clock, role: Role, client_id: str) -> None:
        self._settings = settings
        self._role = role
        self._offsets = KafkaOffsets(settings, clock)
        self._client_id = client_id
        self._group = settings.live_group if role == "live" else settings.replay_group
        self._streams = streams_of(settings, role)

    @override
    def is_member(self) -> bool:
        _require_rights(self._settings, self._role)
        return self._client_id in self._offsets.client_ids(self._group)

    @override
    def lag(self, stream: str) -> int:
        _require_rights(self._settings, self._role)
        group = self._offsets.read({self._group: self._streams[stream]})[self._group]
        # During a rebalance no partition is this worker's.
        if group.state != "stable":
            return 0
        waiting = 0
        for row in group.partitions:
            if row.member is not None and row.member.client_id == self._client_id:
                waiting += row.waiting or 0
        # One beat is always about to come: with a short limit, a look may fall between
        # its arrival and its handling.
        return max(0, waiting - 1) if stream == "canary" else waiting


def streams_of(settings: Settings, role: Role) -> dict[str, list[str]]:
    """Return the topics that a role consumes, by the stream that the watchdog judges.

    `sync` and `canary` share an agent.
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
    """Return the topics that a role consumes."""
    return list(chain.from_iterable(streams_of(settings, role).values()))
