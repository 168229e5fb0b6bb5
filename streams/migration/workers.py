"""Watch the workers around a start: they end to take up the new columns, and restart.

Hazard: only sessions of the database are seen. A worker that is not started again
leaves none.
"""

from collections.abc import Callable, Mapping

from connectors.ports import Clock
from connectors.postgres import queries
from connectors.postgres.session import Session

_END_SECONDS = 60.0
_RETURN_SECONDS = 20.0
"""A process has to be started and a model opened."""
_POLL_SECONDS = 0.25


def there(session: Session) -> dict[int, str]:
    """Return the roles of the workers' sessions, by process id.

    Raises:
        TransientError: Postgres does not answer.
    """
    found: dict[int, str] = {}
    for pid, name in session.rows(queries.text("worker_sessions")):
        found[int(pid)] = str(name).removeprefix("vectrue ")
    return found


def wait(
    session: Session, clock: Clock, tell: Callable[[str], None], before: Mapping[int, str]
) -> None:
    """Wait until the workers have restarted; a replay makes up for what they miss.

    Args:
        session: any connection.
        clock: to wait by.
        tell: called with a sentence.
        before: the sessions as `there` saw them before the start.

    Raises:
        TransientError: Postgres does not answer.
    """
    if not before:
        tell("no worker runs: the new vectors are filled once one does (vectrue worker)")
        return
    left = _wait_for_end(session, clock, before)
    if left:
        tell(f"{left} worker sessions still fill only the old column: a replay fills the rest")
        return
    # By role: a process that restarted has another id.
    lacking = _wait_for_roles(session, clock, set(before.values()))
    for role in sorted(lacking):
        tell(
            f"the {role} worker has ended, as it does to restart, and is not back yet: check "
            f"that it is started (vectrue worker --role {role})"
        )
    if not lacking:
        tell("the workers have restarted, and fill the new vectors from now on")


def _wait_for_end(session: Session, clock: Clock, before: Mapping[int, str]) -> int:
    """Return how many of the sessions have not ended in time."""
    deadline = clock.monotonic() + _END_SECONDS
    while left := before.keys() & there(session).keys():
        if clock.monotonic() > deadline:
            return len(left)
        clock.wait(_POLL_SECONDS)
    return 0


def _wait_for_roles(session: Session, clock: Clock, roles: set[str]) -> set[str]:
    """Return the roles that no worker has taken in time."""
    deadline = clock.monotonic() + _RETURN_SECONDS
    while True:
        lacking = roles - set(there(session).values())
        if not lacking or clock.monotonic() >= deadline:
            return lacking
        clock.wait(_POLL_SECONDS)
