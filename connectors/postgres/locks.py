"""Locks that take a right: lines of vectrue.locks, which only the roles of an
installation may write.

An advisory lock is anybody's who may connect: whoever holds one of our name, and does
not let go, keeps the keeper from its work for ever. A line names the connection that
holds it, and holds for as long as the server has that connection, so it ends with its
session as an advisory lock does, however that ends.

Hazard: of a holder with another role Postgres shows no start, only process id and name.
A process id that is used again by a connection of the same name, before anybody looked,
would keep the lock for it.
"""

from connectors.postgres import blockers, queries
from connectors.postgres.session import Session
from schemas import command
from schemas.errors import TransientError


def take(session: Session, name: str) -> bool:
    """Whether a lock is this connection's: it was, or nobody held it and now it is.

    Raises:
        TransientError: Postgres does not answer.
        ConfigurationError: `init` was not run since there are such locks.
    """
    return bool(session.rows(queries.text("take_lock"), {"name": name})[0][0])


def refusal(session: Session, name: str) -> TransientError:
    """What is said where a lock is another command's, with who that is. Raises as
    `take`.
    """
    lines = session.rows(queries.text("lock_holder"), {"name": name})
    other = blockers.named(session, lines[0][0]) if lines else None
    return TransientError(
        f"another command changes this database{f': {other.name}' if other else ''}",
        fix=f"wait until it has ended, then repeat {command.again()}",
    )


def is_held(session: Session, name: str) -> bool:
    """Whether somebody has a lock; it is not where there are no such locks yet. Raises
    as `take`.
    """
    if not session.rows("SELECT to_regclass('vectrue.locks') IS NOT NULL")[0][0]:
        return False
    return bool(session.rows(queries.text("lock_holder"), {"name": name}))


def give_back(session: Session, name: str) -> None:
    """Let another connection have it; nothing where it is not this one's. Raises as
    `take`.
    """
    session.rows(queries.text("give_back_lock"), {"name": name})
