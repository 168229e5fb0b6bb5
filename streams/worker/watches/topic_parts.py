"""Composition: the parts of a worker's watch of its topics, real ones, joined."""

from collections.abc import Callable, Sequence
from typing import Literal

from connectors.kafka.offsets import KafkaOffsets
from connectors.kafka.outbox import KafkaOutbox
from connectors.ports import Clock
from connectors.postgres.health.topic_notes import TopicNotes
from connectors.postgres.ledger import looks
from connectors.postgres.session import Session, limit_waits
from schemas.health.surprises import Surprise
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
    """The watch of these topics, and what tells it how far the worker is; nothing is
    opened yet.

    Args:
        settings: everything.
        role: of the worker.
        topics: those that it consumes.
        targets: the columns, for chunks that are sent again.
        clock: tells the time.
    """
    prefix = settings.kafka.topic_prefix
    dsn = settings.postgres.dsn
    session = Session(dsn, role=f"{role} topics", prefix=prefix, setup=limit_waits)
    notes = TopicNotes(session, prefix)
    # Noted by the event loop's helper, while the watch waits for the broker: a
    # connection of its own.
    positions = HandledPositions(
        TopicNotes(Session(dsn, role=f"{role} offsets", prefix=prefix, setup=limit_waits), prefix)
    )

    def lock() -> Callable[[], None] | None:
        return notes.lock(role)

    respond = (
        _look(settings, session)
        if role == "live"
        else _send_again(settings, session, targets, clock)
    )
    broker = KafkaOffsets(settings, clock)
    return TopicWatch(
        settings, role, topics, broker, notes, positions, respond, lock, clock
    ), positions


def _look(settings: Settings, session: Session) -> Respond:
    def respond(surprise: Surprise) -> str:
        tables = tables_of(settings, surprise.topic)
        if not tables:
            return "nothing: no rows travel through it"
        looks.ask(session, settings.kafka.topic_prefix, tables, surprise.what)
        return f"all rows of {', '.join(map(str, tables))} are looked at"

    return respond


def _send_again(
    settings: Settings, session: Session, targets: Sequence[Target], clock: Clock
) -> Respond:
    def respond(_: Surprise) -> str:
        runs = Replay(settings, session, KafkaOutbox(settings, targets), clock).send_again()
        return f"the chunks of {len(runs)} replay runs are sent again"

    return respond
