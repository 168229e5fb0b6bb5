"""The Faust application of a role: its agents, topics and options.

Hazard: each option is here for a reason that was seen; most defaults lose events, or
leave a worker that is alive and does nothing. docs/architecture/faust.md has them in a
table.
"""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, assert_never

import faust

from connectors.kafka import security
from schemas.settings.reading import Settings
from streams.worker.agents import LiveAgents, ReplayAgents
from streams.worker.lanes import LiveLane, ReplayLane
from streams.worker.runner import Runner
from streams.worker.watches.positions import HandledPositions
from streams.worker.watches.shapes import LOOK_SECONDS
from streams.worker.watches.watchdog import Heartbeat

_IDLE_CHECK_SECONDS = 10.0


def build(
    settings: Settings,
    lane: LiveLane | ReplayLane,
    heartbeat: Heartbeat,
    positions: HandledPositions,
    *,
    client_id: str,
) -> faust.App:
    """Build the Faust application of one role.

    Args:
        settings: topics, group, batch size and linger.
        lane: the work; its type is the role.
        heartbeat: where the signs of life go.
        positions: where the offsets of handled events go.
        client_id: how the broker knows this process.

    Returns:
        the application, not started.
    """
    match lane:
        case LiveLane():
            app = _application(settings, settings.live_group, client_id)
            live = LiveAgents(app, lane, heartbeat, positions)
            _watch(app, live)
            _add_live(app, settings, live)
        case ReplayLane():
            app = _application(settings, settings.replay_group, client_id)
            replay = ReplayAgents(app, lane, heartbeat, positions)
            _watch(app, replay)
            _add_replay(app, settings, replay)
        case _:
            # A lane that is joined wrongly is a bug, so not a ConfigurationError.
            assert_never(lane)
    return app


def _application(settings: Settings, group: str, client_id: str) -> faust.App:
    return faust.App(group, broker_client_id=client_id, **_options(settings))


def _watch(app: faust.App, runner: Runner[Any]) -> None:
    app.task(runner.tick)
    app.timer(interval=LOOK_SECONDS)(runner.look_at_targets)


def _add_live(app: faust.App, settings: Settings, agents: LiveAgents) -> None:
    topics = [table.table.topic(settings.kafka.topic_prefix) for table in settings.tables]
    changes = _topic(app, [*topics, settings.canary_topic])
    deferred = _topic(app, [settings.deferred_topic])
    size, linger = settings.live.batch_size, settings.live.linger_ms / 1000

    async def sync(stream: Any) -> None:
        await agents.live(stream, size, linger)

    # More than one actor would commit past events that are not handled.
    app.agent(changes, name="sync", concurrency=1)(sync)
    app.agent(deferred, name="deferred", concurrency=1)(agents.deferred)


def _add_replay(app: faust.App, settings: Settings, agents: ReplayAgents) -> None:
    chunks = _topic(app, [settings.replay_topic])
    app.agent(chunks, name="replay", concurrency=1)(agents.replay)

    async def idle() -> None:
        await agents.unload_when_idle(settings.replay.idle_unload_seconds)

    app.timer(interval=_IDLE_CHECK_SECONDS)(idle)


def _topic(app: faust.App, names: Sequence[str]) -> Any:
    return app.topic(
        *sorted(set(names)),
        key_type=bytes,
        value_type=bytes,
        key_serializer="raw",
        value_serializer="raw",
    )


def _options(settings: Settings) -> dict[str, Any]:
    """The options of the stress tests; a comment says what the default would do."""
    servers = settings.kafka.bootstrap_servers.split(",")
    return {
        "broker": [f"kafka://{server.strip()}" for server in servers],
        "broker_credentials": _credentials(settings),
        "store": "memory://",
        # Faust creates this folder at start, by default in the working directory, and
        # keeps nothing in it. Named by the user's id: in a container the user may have
        # no name.
        "datadir": str(Path(tempfile.gettempdir()) / f"vectrue-{os.getuid()}"),
        # Binds 0.0.0.0 without authentication.
        "web_enabled": False,
        "processing_guarantee": "at_least_once",
        "stream_wait_empty": True,
        "broker_commit_interval": 1.0,
        "broker_commit_every": 1000,
        "broker_session_timeout": settings.kafka.session_timeout_seconds,
        # Sent by a thread of its own.
        "broker_heartbeat_interval": settings.kafka.session_timeout_seconds / 5,
        "broker_rebalance_timeout": 120,
        # Only the client counts it; then it leaves the group and never returns.
        "broker_max_poll_interval": 604_800,
        "broker_max_poll_records": 200,
        # Back-pressure starts at 80 %; the rest must hold one poll.
        "stream_buffer_maxsize": 1024,
        "consumer_auto_offset_reset": "earliest",
        # The default is 5 minutes, in which an added partition is not read.
        "consumer_metadata_max_age_ms": 10_000,
        # `init` creates the topics, with the right number of partitions.
        "topic_allow_declare": False,
        "topic_disable_leader": True,
        "table_standby_replicas": 0,
        "producer_acks": -1,
        # The default is 20 minutes.
        "producer_request_timeout": 30.0,
        "worker_redirect_stdouts": False,
    }


def _credentials(settings: Settings) -> Any:
    """Return `kafka.security` as Faust takes it; None without any."""
    wanted = security.transport(settings.kafka.security)
    if wanted.mechanism is not None:
        login = {
            "username": wanted.username,
            "password": wanted.password,
            "mechanism": wanted.mechanism,
        }
        return faust.SASLCredentials(ssl_context=wanted.context, **login)
    if wanted.context is None:
        return None
    return faust.SSLCredentials(wanted.context)
