"""A few threads with a session each, so that the event loop does not block.

Hazard: a statement is not cancelled when its request is given up; it ends with
`statement_timeout`.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from connectors.postgres.session import Session, limit_statements

T = TypeVar("T")


class SessionPool:
    """Sessions, one per thread, opened when needed and kept."""

    def __init__(
        self, dsn: str, *, role: str, prefix: str | None = None, threads: int, seconds: float
    ) -> None:
        """Remember how to connect.

        Args:
            dsn: libpq connection string.
            role: of `Session`.
            prefix: of `Session`.
            threads: most connections.
            seconds: longest that a statement may run.
        """
        self._make: Callable[[], Session] = lambda: Session(
            dsn, role=role, prefix=prefix, setup=limit_statements(seconds)
        )
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=role)
        # A session of psycopg2 runs one statement at a time, so each thread has its own.
        self._own = threading.local()
        self._sessions: list[Session] = []

    async def run(self, work: Callable[[Session], T]) -> T:
        """Call `work` with a session in a thread of the pool, and return its result."""
        return await asyncio.get_running_loop().run_in_executor(
            self._pool, self._with_session, work
        )

    def close(self) -> None:
        """Wait for running calls and close the sessions."""
        self._pool.shutdown(wait=True)
        for session in self._sessions:
            session.close()

    def _with_session(self, work: Callable[[Session], T]) -> T:
        if not hasattr(self._own, "session"):
            self._own.session = self._make()
            # list.append is atomic, so the threads of the pool need no lock.
            self._sessions.append(self._own.session)
        return work(self._own.session)
