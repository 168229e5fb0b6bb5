"""The database's side of what green is judged by: canary, slot, looks, differences.

Hazard: a part that cannot be read is unknown and says why; it never looks like one that
is well.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

from connectors.postgres import queries
from connectors.postgres.checks import replica_identity
from connectors.postgres.health import edits, log_watch, rounds, watched
from connectors.postgres.ledger import looks
from connectors.postgres.session import Session
from connectors.postgres.setup import installation, slot
from schemas.errors import VectrueError
from schemas.health.lag import SlotLag
from schemas.health.witness import Arrival, Beat, Canary, Difference, Witness
from schemas.settings.reading import Settings

T = TypeVar("T")

_FOUNDED = (
    "SELECT to_regclass('vectrue.targets') IS NOT NULL, to_regclass('vectrue.slot_moves') IS "
    "NOT NULL"
)

_NONE = "this database does not know vectrue yet: vectrue init"
_OLDER = "this database was set up by an older version: vectrue init"


def read(session: Session, settings: Settings, *, compare: bool = True) -> Witness:
    """Look once; what cannot be read is an error in the part, not an exception.

    Args:
        session: connection of any role that may read the schema vectrue.
        settings: names, prefix, intervals.
        compare: whether what is configured is compared with what is there, which reads
            the catalogue.
    """
    # First: where the server does not answer, nothing else is asked.
    seen, silent = _asked(lambda: slot.read(session, settings.slot))
    if seen is None:
        return unknown(settings, silent or "Postgres does not answer")
    found, error = _asked(lambda: session.rows(_FOUNDED)[0])
    if found is None or not all(found):
        # An older vectrue has targets, and does not note where the slot stood.
        is_founded = found is None or found[0]
        why = error or (_OLDER if is_founded else _NONE)
        return replace(unknown(settings, why), slot=seen, is_founded=is_founded)
    canary, error = _asked(lambda: _canary(session, settings))
    still, still_error = _asked(lambda: _standstill(session, settings))
    pending, looks_error = _asked(lambda: looks.pending(session, settings.kafka.topic_prefix))
    looked, rounds_error = _asked(lambda: rounds.read(session, settings))
    edited, edits_error = _asked(lambda: edits.read(session, settings.kafka.topic_prefix))
    different, compare_error = _asked(lambda: _differences(session, settings) if compare else [])
    return Witness(
        canary or _of(settings, error=error),
        slot=replace(seen, standstill_seconds=still[0] if still else None),
        slot_seconds=settings.canary.slot_seconds,
        looks=tuple(pending or ()),
        differences=tuple(different or ()),
        rounds=tuple(looked or ()),
        edits=tuple(edited or ()),
        error=still_error or looks_error or rounds_error or edits_error or compare_error,
    )


def _differences(session: Session, settings: Settings) -> list[Difference]:
    return [
        *watched.differences(session, settings),
        *log_watch.differences(session, settings),
        *installation.differences(session, settings),
        *replica_identity.differences(session, settings),
    ]


def unknown(settings: Settings, why: str) -> Witness:
    """What is known when Postgres was not asked, or did not answer."""
    return Witness(
        _of(settings, error=why),
        SlotLag(settings.slot, error=why),
        settings.canary.slot_seconds,
        error=why,
    )


def _canary(session: Session, settings: Settings) -> Canary:
    line = session.rows(queries.text("canary"), {"prefix": settings.kafka.topic_prefix})[0]
    now, written, written_at, arrived, sent_at, *hops = line
    last_written = None if written is None else Beat(int(written), written_at)
    last_arrived = None
    if arrived is not None:
        last_arrived = Arrival(Beat(int(arrived), sent_at), *hops)
    return _of(settings, now=now, written=last_written, arrived=last_arrived)


def _standstill(session: Session, settings: Settings) -> tuple[float | None]:
    """For how many seconds the slot has stood still; alone in a tuple."""
    # So that None, from `_asked`, means that it could not be read.
    parameters = {"prefix": settings.kafka.topic_prefix, "slot": settings.slot}
    lines = session.rows(queries.text("slot_standstill"), parameters)
    return (float(lines[0][0]) if lines else None,)


def _of(settings: Settings, **known: Any) -> Canary:
    return Canary(settings.canary.seconds, settings.canary.late_seconds, **known)


def _asked(question: Callable[[], T]) -> tuple[T | None, str | None]:
    """The answer, or why there is none."""
    try:
        return question(), None
    except VectrueError as error:
        return None, str(error)
