"""Locks that only the roles of an installation can take: lines of vectrue.locks.

Any role that may connect can take an advisory lock, and could stop the keeper for ever
with one of our name. A line here names the connection that holds it, and counts as long
as the server has that connection. So it ends with its session, as an advisory lock
does.

Hazard: if the holder has another role, Postgres shows only its process id and name, not
when it started. If a new connection of the same name gets the same process id, it holds
the lock until it ends.
"""

from connectors.postgres import blockers, queries
from connectors.postgres.session import Session
from schemas import command
from schemas.errors import TransientError


def take(session: Session, name: str) -> bool:
    """Take a lock, unless another connection holds it.

    Returns:
        whether this connection holds it now.

    Raises:
        TransientError: Postgres does not answer.
        ConfigurationError: the table is missing, since `init` was not run.
    """
    return bool(session.rows(queries.text("take_lock"), {"name": name})[0][0])


def refusal(session: Session, name: str) -> TransientError:
    """The error about a lock that another command holds. Raises as `take`."""
    lines = session.rows(queries.text("lock_holder"), {"name": name})
    other = blockers.named(session, lines[0][0]) if lines else None
    holder = f": {other.name}" if other else ""
    return TransientError(
        f"another command changes this database{holder}",
        fix=f"wait until it has ended, then repeat {command.again()}",
    )


def is_held(session: Session, name: str) -> bool:
    """Whether a connection holds a lock. Raises as `take`, but not before `init`."""
    if not session.rows("SELECT to_regclass('vectrue.locks') IS NOT NULL")[0][0]:
        return False
    return bool(session.rows(queries.text("lock_holder"), {"name": name}))


def give_back(session: Session, name: str) -> None:
    """Release a lock, if this connection holds it. Raises as `take`."""
    session.rows(queries.text("give_back_lock"), {"name": name})
