"""The workers around a start: they end to take the new columns up, and whoever runs
them starts them again.

Hazard: seen are sessions of the database alone. A worker that nobody starts again
leaves none, and is missed here.
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
    """The roles of the workers' sessions, by process id. Raises TransientError."""
    lines = session.rows(queries.text("worker_sessions"))
    return {int(pid): str(name).removeprefix("vectrue ") for pid, name in lines}


def wait(
    session: Session, clock: Clock, tell: Callable[[str], None], before: Mapping[int, str]
) -> None:
    """Wait until the workers of before have started anew; what they miss until then is
    a replay's business.

    Args:
        session: any connection.
        clock: to wait by.
        tell: takes a sentence.
        before: the sessions as `there` saw them before the start.

    Raises:
        TransientError: Postgres does not answer.
    """
    if not before:
        tell("no worker runs: the new vectors are filled once one does (vectrue worker)")
        return
    deadline = clock.monotonic() + _END_SECONDS
    while left := before.keys() & there(session).keys():
        if clock.monotonic() > deadline:
            tell(
                f"{len(left)} worker sessions still fill the old column alone: a replay fills "
                "the rest"
            )
            return
        clock.wait(_POLL_SECONDS)
    deadline = clock.monotonic() + _RETURN_SECONDS
    while (
        lacking := set(before.values()) - set(there(session).values())
    ) and clock.monotonic() < deadline:
        clock.wait(_POLL_SECONDS)
    for role in sorted(lacking):
        tell(
            f"the {role} worker has ended, as it does to start anew, and is not back yet: see "
            "that it is started "
            f"(vectrue worker --role {role})"
        )
    if not lacking:
        tell("the workers have started anew, and fill the new vectors from now on")
