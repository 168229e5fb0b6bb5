"""The connection that changes a database, for one command at a time."""

from collections.abc import Iterator
from contextlib import contextmanager

from connectors.postgres import locks
from connectors.postgres.checks import trust
from connectors.postgres.session import Session, user_of
from connectors.postgres.setup import schema
from schemas.settings.reading import Settings


def admin(settings: Settings) -> Session:
    """Return the session that makes the changes; guarded, since it may be a superuser's."""
    return Session(
        settings.postgres.admin,
        role="init",
        prefix=settings.kafka.topic_prefix,
        recorded=False,
        guard=trust.guard,
    )


def worker_role(settings: Settings, session: Session) -> str:
    """Return the role that the workers connect as.

    Args:
        settings: all of them.
        session: the connection that makes the changes.
    """
    # The connected role where postgres.dsn leaves the choice to libpq.
    named = user_of(settings.postgres.dsn) if settings.postgres.admin_dsn else None
    return named or session.connection().info.user


@contextmanager
def alone(session: Session) -> Iterator[None]:
    """Hold the lock that lets one command (`init`, `migrate`) change a database.

    It is held until the session is closed.

    Raises:
        TransientError: another command holds it.
    """
    # There is no lock before the very first `init`. Of two of those, one fails at what
    # the other makes.
    if schema.exists(session, "vectrue.locks") and not locks.take(session, "init"):
        raise locks.refusal(session, "init")
    session.hold()
    yield
    session.release()
