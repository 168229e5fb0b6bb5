"""Composition: the real parts of a worker's watch of its topics, joined."""

from collections.abc import Callable, Sequence
from typing import Literal

from connectors.kafka.offsets import KafkaOffsets
from connectors.kafka.outbox import KafkaOutbox
from connectors.ports import Clock
from connectors.postgres.health.topic_notes import TopicNotes
from connectors.postgres.ledger import looks
from connectors.postgres.session import Session, limit_waits
from schemas.health.anomalies import Anomaly
from schemas.rows.target import Target
from schemas.settings.reading import Settings
from streams.replay.run import Replay
from streams.worker.watches.positions import HandledPositions
from streams.worker.watches.topics import Respond, TopicWatch, tables_of


def open_watch(
    settings: Settings,
    role: Literal["live", "replay"],
    topics: Sequence[str],
    targets: Sequence[Target],
    clock: Clock,
) -> tuple[TopicWatch, HandledPositions]:
    """Join the watch of a worker's topics; nothing is opened yet.

    Args:
        settings: everything.
        role: of the worker.
        topics: those that it consumes.
        targets: the columns, for chunks that are sent again.
        clock: tells the time.

    Returns:
        the watch, and the positions of the worker that it reads.
    """
    prefix = settings.kafka.topic_prefix
    dsn = settings.postgres.dsn
    session = Session(dsn, role=f"{role} topics", prefix=prefix, setup=limit_waits)
    notes = TopicNotes(session, prefix)
    # The event loop's helper notes offsets while the watch waits for the broker: a
    # connection of its own.
    offsets = Session(dsn, role=f"{role} offsets", prefix=prefix, setup=limit_waits)
    positions = HandledPositions(TopicNotes(offsets, prefix))

    def lock() -> Callable[[], None] | None:
        return notes.lock(role)

    if role == "live":
        respond = _look(settings, session)
    else:
        respond = _send_again(settings, session, targets, clock)
    watch = TopicWatch(
        settings,
        role,
        topics,
        broker=KafkaOffsets(settings, clock),
        notes=notes,
        positions=positions,
        respond=respond,
        lock=lock,
        clock=clock,
    )
    return watch, positions


def _look(settings: Settings, session: Session) -> Respond:
    def respond(anomaly: Anomaly) -> str:
        tables = tables_of(settings, anomaly.topic)
        if not tables:
            return "nothing: no rows travel through it"
        looks.ask(session, settings.kafka.topic_prefix, tables, anomaly.what)
        names = ", ".join(str(table) for table in tables)
        return f"all rows of {names} will be looked at"

    return respond


def _send_again(
    settings: Settings, session: Session, targets: Sequence[Target], clock: Clock
) -> Respond:
    def respond(_: Anomaly) -> str:
        runs = Replay(settings, session, KafkaOutbox(settings, targets), clock).send_again()
        return f"chunks of {len(runs)} replay runs were sent again"

    return respond
