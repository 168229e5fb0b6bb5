"""When a worker last looked after an installation (vectrue.rounds), and what it has begun
to change.

Hazard: a look that takes long is noted before it begins, as is a change in steps, which
the next worker ends if this one dies.
"""

from connectors.postgres import queries
from connectors.postgres.session import Session
from connectors.postgres.setup import schema
from schemas.health.rounds import ALL, Change, Round, What
from schemas.settings.reading import Settings

WATCH_SECONDS = 15.0
"""A worker looks more often, and notes it this often."""


def begin(session: Session, prefix: str, what: What) -> None:
    """Note that a worker has started that will look.

    Args:
        session: of the workers' role.
        prefix: kafka.topic_prefix of the installation.
        what: at what.

    Raises:
        TransientError: Postgres does not answer.
        ConfigurationError: `init` was not run since this is noted.
    """
    session.rows(queries.text("begin_round"), {"prefix": prefix, "what": what})


def note(
    session: Session,
    prefix: str,
    what: What | Change,
    every: float | None,
    doing: str | None = None,
) -> None:
    """Note that a worker has looked, or has ended a change.

    Args:
        session: of the workers' role.
        prefix: kafka.topic_prefix of the installation.
        what: at what.
        every: the period in seconds; None: as noted before.
        doing: what is begun now and may take long.

    Raises:
        TransientError, ConfigurationError: as `begin`.
    """
    # What takes long is noted before it begins, or it would seem to be missed.
    parameters = {"prefix": prefix, "what": what, "every": every, "doing": doing}
    session.rows(queries.text("note_round"), parameters)


def begun(session: Session, prefix: str, change: Change) -> bool:
    """Whether a worker has begun a change and not ended it.

    Args:
        session: of the workers' role.
        prefix: kafka.topic_prefix of the installation.
        change: which.

    Raises:
        TransientError, ConfigurationError: as `begin`.
    """
    asked = {"prefix": prefix, "what": change}
    return bool(session.rows(queries.text("change_begun"), asked)[0][0])


def read(session: Session, settings: Settings) -> list[Round]:
    """How long ago each look was.

    Returns:
        nothing where `init` was not run with a vectrue that notes this.

    Raises:
        TransientError: Postgres does not answer.
    """
    if not schema.exists(session, "vectrue.rounds"):
        return []
    lines = session.rows(
        queries.text("rounds"), {"prefix": settings.kafka.topic_prefix, "what": list(ALL)}
    )
    found: list[Round] = []
    for what, age, every, doing in lines:
        # Looks at all rows may be turned off.
        if what == "rows" and not settings.keeper.reconcile_seconds:
            continue
        found.append(_judged(settings, what, float(age), every, doing))
    return found


def _judged(
    settings: Settings, what: What, age: float, every: float | None, doing: str | None
) -> Round:
    keeper = settings.keeper
    if what == "rows":
        # There are two looks, and a worker that has just started waits before the
        # first.
        return Round(what, age, keeper.reconcile_seconds + keeper.stale_seconds, 60.0)
    if what == "watch":
        return Round(what, age, every or WATCH_SECONDS, settings.watchdog.batch_seconds)
    return Round(what, age, every or keeper.poll_seconds, 0.0, doing)
