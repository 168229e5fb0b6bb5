"""A writer of the load: one connection to the database, and what every change of it
needs.
"""

import threading
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Sequence
from random import Random

import psycopg2
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor

from tests.soak.tables import LINES, Key, Table
from tests.soak.texts import words

ABORTED, ROLLED_BACK = "aborted transactions", "rolled back transactions"
MOST_ROWS = 900
HOT = 8
"""Rows at the start of each table that half of the changes meet, so that changes of one
row follow each other.
"""


class Writer(ABC, threading.Thread):
    """One connection and what it does, transaction by transaction."""

    def __init__(self, dsn: str, seed: str, changes: Counter[str], going: threading.Event) -> None:
        super().__init__(daemon=True, name=f"load {seed}")
        self.busy = threading.Lock()
        self._dsn = dsn
        self._random = Random(seed)
        self._changes = changes
        self._going = going
        self._ended = threading.Event()
        self._connection: Connection | None = None
        self._pending: list[tuple[str, int]] = []

    def run(self) -> None:
        """Work until `end`."""
        while not self._ended.wait(self._random.expovariate(14.0)):
            with self.busy:
                if self._going.is_set():
                    self._attempt(self._transaction)
        if self._connection is not None:
            self._connection.close()

    def end(self) -> None:
        """Ask it to end."""
        self._ended.set()

    def _attempt(self, work: Callable[[Connection], None]) -> None:
        self._pending.clear()
        try:
            work(self._open())
        except psycopg2.Error:
            self._changes[ABORTED] += 1
            self._drop()

    def _open(self) -> Connection:
        if self._connection is None:
            opened = psycopg2.connect(self._dsn, connect_timeout=5, application_name="soak load")
            with opened.cursor() as cursor:
                cursor.execute("SET lock_timeout = '5s'; SET statement_timeout = '20s'")
            opened.commit()
            self._connection = opened
        return self._connection

    def _drop(self) -> None:
        if self._connection is not None:
            try:
                self._connection.rollback()
            except psycopg2.Error:
                self._connection.close()
            if self._connection.closed:
                self._connection = None

    def _commit(self, connection: Connection) -> None:
        connection.commit()
        for kind, count in self._pending:
            self._changes[kind] += count
        self._pending.clear()

    @abstractmethod
    def _transaction(self, connection: Connection) -> None:
        """Change something, and end the transaction."""

    def _keys(
        self, cursor: Cursor, table: Table, count: int, offset: int | None = None
    ) -> list[Key]:
        if offset is None:
            offset = 0 if self._random.random() < 0.5 else self._random.randrange(MOST_ROWS)
            offset += self._random.randrange(HOT)
        columns = ", ".join(table.key)
        cursor.execute(
            f"SELECT {columns} FROM {table.name} ORDER BY {columns} OFFSET %s LIMIT %s",
            (offset, count),
        )
        return cursor.fetchall()

    def _count(self, kind: str, rows: int) -> None:
        if rows > 0:
            self._pending.append((kind, rows))

    def _set_text(
        self, cursor: Cursor, table: Table, key: Key, kind: str, text: Sequence[str | None] = ()
    ) -> None:
        values = [table.put(part) for part in text or [words(self._random) for _ in table.texts]]
        assigned = ", ".join(f"{column} = %s" for column in table.texts)
        cursor.execute(f"UPDATE {table.name} SET {assigned} WHERE {table.where}", (*values, *key))
        self._count(kind, cursor.rowcount)

    def _insert_row(self, cursor: Cursor, table: Table, key: Key, kind: str) -> None:
        parts = [words(self._random) for _ in table.texts]
        if table is LINES and self._random.random() < 0.2:
            parts = [f"  {part} " for part in parts]
            self._count("text inserted for a trigger to change", 1)
        values = (*key, *map(table.put, parts))
        columns = ", ".join((*table.key, *table.texts))
        conflict = (
            f"({', '.join(table.key)}) DO UPDATE SET {table.texts[0]} = excluded.{table.texts[0]}"
        )
        places = ", ".join(["%s"] * len(values))
        cursor.execute(
            f"INSERT INTO {table.name} ({columns}) VALUES ({places}) ON CONFLICT {conflict}", values
        )
        self._count(kind, cursor.rowcount)
