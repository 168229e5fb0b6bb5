"""Rows whose change is followed: green may not be said while one of them is stuck
(I11).

A mark is a row with a text that no one else writes. Once its text is another one, or
the row is gone, the load had it, and it says nothing any more.
"""

import hashlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.soak.tables import Table

Ask = Callable[..., list[tuple[Any, ...]]]


@dataclass(frozen=True)
class Mark:
    """A change that was committed at `at`, a monotonic time."""

    table: Table
    key: tuple[Any, ...]
    text: str
    at: float

    def __str__(self) -> str:
        return f"{self.table.name} {self.key}"


class Marks:
    """Changes that have not been seen handled yet. Used by several threads."""

    def __init__(self) -> None:
        """None yet."""
        self._open: list[Mark] = []
        self._lock = threading.Lock()
        self.made = 0

    def add(self, table: Table, key: tuple[Any, ...], text: str) -> None:
        """Follow the row from its commit on, which is a moment from now: a mark is only
        used when it is old.
        """
        with self._lock:
            self._open.append(Mark(table, key, text, time.monotonic()))
            self.made += 1

    def stuck(self, ask: Ask, seconds: float) -> list[Mark]:
        """Marks older than so many seconds whose row still has the text and not its
        vector; handled ones are forgotten.

        Raises:
            psycopg2.Error: Postgres is away.
        """
        with self._lock:
            old = [mark for mark in self._open if time.monotonic() - mark.at > seconds]
        waiting = [mark for mark in old if self._waits(ask, mark)]
        with self._lock:
            self._open = [mark for mark in self._open if mark not in old or mark in waiting]
        return waiting

    @staticmethod
    def _waits(ask: Ask, mark: Mark) -> bool:
        table = mark.table
        found = ask(
            f"SELECT {table.expression}, embedding_hash FROM {table.name} WHERE {table.where}",
            mark.key,
        )
        if not found or found[0][0] != mark.text:
            return False
        stored = found[0][1]
        return stored is None or bytes(stored) != hashlib.sha256(mark.text.encode()).digest()
