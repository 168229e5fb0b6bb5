"""The error tree: what must be done about each error.

A class says what must be done; a message says what is wrong and how to fix it.

    VectrueError                       exit 1
    ├── ConfigurationError             stop: restarting will not help; exit 78
    │   ├── TargetMismatch             column, settings, model and target row disagree
    │   │   └── WrongLength            ... in the number of dimensions
    │   ├── HiddenRows                 row-level security would hide rows from the role
    │   ├── ModelUnavailable           the weights are not here
    │   └── MissingExtra               an optional package is not installed
    ├── TransientError                 retry in place with back-off, then exit 70
    │   └── TableLocked                the whole table is locked: the live lane defers
    ├── PoisonEvent                    this event can never be handled: dead letter
    │   └── RowRefused                 Postgres fails on one of these rows: bisect, then
    │       │                          quarantine
    │       └── RowTooSlow             ... within the time of a statement
    ├── IndexesLacking                 a step of a migration would leave indexes: ask
    ├── PoisonText                     the model cannot take this text: quarantine
    │   └── OutOfMemory                ... out of memory, while it takes shorter ones
    ├── DeadLetterLimitReached         too many bad events: stop first; exit 70
    └── Stopping                       asked to stop: leave the batch; exit 0

Hazard: a message is shown to operators and written to logs, so it never holds a
password or a row's text.
"""

from typing import ClassVar

EXIT_CONFIGURATION = 78
"""EX_CONFIG of sysexits.h: restarting will not help."""

EXIT_RESTART = 70
"""EX_SOFTWARE of sysexits.h, which vectrue's workers use for "restart me"."""


# In characters.
_LONGEST_REASON = 500


class VectrueError(Exception):
    """Something vectrue was asked to do cannot be done."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str | None = None, *, fix: str | None = None) -> None:
        """Take one sentence without a full stop, and how to fix it.

        Args:
            message: names the table, key, topic or setting; the class's docstring when
                left out.
            fix: what to do, in the imperative.
        """
        self.message = message or (type(self).__doc__ or "").splitlines()[0].rstrip(".")
        self.fix = fix
        super().__init__(self.message if fix is None else f"{self.message}: {fix}")


class ConfigurationError(VectrueError):
    """The configuration is wrong; restarting will not help."""

    exit_code = EXIT_CONFIGURATION


class TargetMismatch(ConfigurationError):
    """The vector column, the settings, the model and the target row do not agree."""


class WrongLength(TargetMismatch):
    """A vector has another number of dimensions than its column."""


class HiddenRows(ConfigurationError):
    """Row-level security would hide rows from the role, so that what it sees proves
    nothing.
    """


class ModelUnavailable(ConfigurationError):
    """The weights of the model are not on this machine."""


class MissingExtra(ConfigurationError):
    """An optional package is not installed."""

    def __init__(self, package: str, extra: str, *, what: str) -> None:
        """Take the package, the extra that installs it, and what needs it."""
        super().__init__(
            f"{what} needs the package {package}, which is not installed",
            fix=f"run `pip install 'vectrue[{extra}]'`",
        )


class TransientError(VectrueError):
    """A service did not answer; it may answer later."""


class TableLocked(TransientError):
    """Another transaction holds a lock on the whole table."""


class IndexesLacking(VectrueError):
    """Indexes of the old vectors have no twin on the new ones."""

    def __init__(self, message: str, names: frozenset[str], *, fix: str) -> None:
        self.names = names
        super().__init__(message, fix=fix)


class PoisonEvent(VectrueError):
    """The event cannot be understood, now or ever."""

    def __init__(self, message: str | None = None, *, fix: str | None = None) -> None:
        # The message may quote a key or a name of the event, of up to a megabyte.
        if message is not None and len(message) > _LONGEST_REASON:
            message = f"{message[:_LONGEST_REASON]}..."
        super().__init__(message, fix=fix)


class RowRefused(PoisonEvent):
    """Postgres cannot make a row's text, or a value of it: an expression or a function
    of the application raised.
    """

    def __init__(self, condition: str) -> None:
        # Only the name of the condition: the message of Postgres may quote the row.
        self.condition = condition
        super().__init__(f"Postgres raised {condition}")


class RowTooSlow(RowRefused):
    """The statement that makes a row's text takes longer than a statement of a worker
    may.
    """

    def __init__(self) -> None:
        super().__init__("no error, and did not come to its end in time")


class PoisonText(VectrueError):
    """The model cannot take this text."""


class OutOfMemory(PoisonText):
    """The model's device has no room for this text."""


class DeadLetterLimitReached(VectrueError):
    """So many events of a topic are bad that the topic or the settings must be wrong."""

    exit_code = EXIT_RESTART


class Stopping(VectrueError):
    """The process was asked to stop while work was in hand."""

    exit_code = 0
