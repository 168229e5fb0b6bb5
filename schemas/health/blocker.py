"""The session that holds what a statement of ours waits for, and how that is said.

Hazard: the text of a statement may hold secrets and is never shown.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from schemas import command
from schemas.duration import show_duration

_NAMED = 3
_AUTOVACUUM = "autovacuum worker"
_IDLE = "idle in transaction"


@dataclass(frozen=True, slots=True)
class Blocker:
    """A session, or a transaction that was prepared and belongs to none.

    Attributes:
        pid: of the server's process; 0 of a prepared transaction.
        user: its role; None of the server's own processes.
        application: its `application_name`; None when it has none.
        kind: `backend_type` of pg_stat_activity; None where Postgres does not show it.
        state: of pg_stat_activity; None where it is not shown.
        seconds: age of its transaction; None where it is not shown.
        waits: whether it waits itself, for others of the list.
        gid: name of a prepared transaction.
    """

    pid: int
    user: str | None
    application: str | None
    kind: str | None
    state: str | None
    seconds: float | None
    waits: bool
    gid: str | None

    @property
    def name(self) -> str:
        """Who it is, and for how long its transaction has been open."""
        age = (
            ""
            if self.seconds is None
            else f", in a transaction for {show_duration(max(0.0, self.seconds))}"
        )
        if self.pid == 0:
            return f"the prepared transaction {self.gid or '(name unknown)'}{age}"
        # Of the server's own processes pg_stat_activity has no role.
        if self.user is None:
            what = "autovacuum" if self.kind in (_AUTOVACUUM, None) else str(self.kind)
            return f"pid {self.pid}, {what} of the server{age}"
        idle = ", which does nothing" if self.state and self.state.startswith(_IDLE) else ""
        waits = ", which waits itself" if self.waits else ""
        return (
            f"pid {self.pid}, user {self.user}, application "
            f"{self.application or '-'}{age}{idle}{waits}"
        )

    @property
    def identity(self) -> tuple[int, str | None, str | None]:
        """What tells it from others, however old its transaction has become."""
        return (self.pid, self.user, self.gid)


def names(found: Sequence[Blocker]) -> str:
    """All of them in one clause, those first that do not wait themselves."""
    shown: list[str] = []
    for one in found[:_NAMED]:
        shown.append(one.name)
    more = len(found) - _NAMED
    if more > 0:
        shown.append(f"and {more} more")
    return "; ".join(shown)


def way_on(found: Sequence[Blocker]) -> str:
    """What is to be done about them, and this command to repeat."""
    # To end one that waits itself frees nothing: the others it waits for come first.
    ends = [one for one in found if not one.waits] or found
    if not ends:
        return f"repeat {command.again()} at a quieter time"
    return f"{' and '.join(map(ending, ends[:_NAMED]))}, then repeat {command.again()}"


def ending(one: Blocker) -> str:
    """How its transaction comes to an end, in the imperative."""
    if one.pid == 0:
        # The name is free text, and this command is copied into psql.
        gid = "'" + (one.gid or "").replace("'", "''") + "'"
        return (
            f"ROLLBACK PREPARED {gid} (or COMMIT PREPARED {gid})"
            if one.gid
            else "end that prepared transaction"
        )
    if one.user is None:
        # The server starts its own processes again, an autovacuum as well.
        return "wait until it has ended"
    return f"end that transaction (SELECT pg_terminate_backend({one.pid}) ends its session)"
