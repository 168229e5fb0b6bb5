"""A command that ends by SIGKILL before one of its statements, for processes that are
forked for a test.
"""

import os
import signal
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any, Final

import psycopg2
from psycopg2.extensions import cursor as Cursor

_VARIABLE: Final = "TEST_KILLED_BEFORE"
_READS: Final = ("SELECT", "SHOW", "SET", "BEGIN", "WITH", "ROLLBACK", "--")
"""Beginnings of statements that leave nothing behind, by which nothing is divided."""


@contextmanager
def killed_before(statement: int | None) -> Iterator[None]:
    """Commands that begin within are killed before this change of the database or
    COMMIT, counted from 1; None: not.
    """
    if statement is not None:
        os.environ[_VARIABLE] = str(statement)
    try:
        yield
    finally:
        os.environ.pop(_VARIABLE, None)


def arm(environment: MutableMapping[str, str]) -> None:
    """Called in a child: have it die as it was asked for."""
    asked = environment.pop(_VARIABLE, None)
    if asked is None:
        return
    left = [int(asked)]
    connect = psycopg2.connect

    class Mortal(Cursor):
        """A cursor that counts."""

        def execute(self, query: Any, parameters: Any = None) -> None:
            """Run a statement, or die before it."""
            text = query if isinstance(query, str) else str(query.as_string(self.connection))
            if not text.lstrip().upper().startswith(_READS):
                left[0] -= 1
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
            super().execute(query, parameters)

    def connected(*arguments: Any, **options: Any) -> Any:
        return connect(
            *arguments, **options if "async_" in options else {"cursor_factory": Mortal, **options}
        )

    psycopg2.connect = connected  # all of our code connects by this name
