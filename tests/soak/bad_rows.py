"""Rows that make trouble: texts that cannot be made or embedded, that show nothing,
that are very long, that a trigger changes; and vectors that are not of their text,
because the application saved them.
"""

import threading
from collections import Counter, deque
from collections.abc import Sequence
from typing import Any

from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor

from tests.soak.tables import (
    BAD_BODIES,
    BODIES,
    CHANGING,
    LINES,
    POISON,
    PROVENANCE,
    RESTLESS,
    VECTOR,
    Key,
    Table,
    Unreadable,
)
from tests.soak.texts import huge_words, long_words, nothing, words
from tests.soak.writer import Writer

_SAVED_KEPT = 40
"""Rows that a writer keeps as it once read them, to be saved again."""


class BadRowWriter(Writer):
    """Writes such rows, and repairs them."""

    def __init__(self, dsn: str, seed: str, changes: Counter[str], going: threading.Event) -> None:
        super().__init__(dsn, seed, changes, going)
        self._saved: deque[tuple[Table, Key, Sequence[Any]]] = deque(maxlen=_SAVED_KEPT)

    def cure(self) -> None:
        """Give every row with a text that is refused, or cannot be made, another one."""
        self._attempt(self._cure)

    def _cure(self, connection: Connection) -> None:
        with connection.cursor() as cursor:
            for table in CHANGING:
                texts = ", ".join(
                    f"{column} = replace({column}, %(poison)s, 'harmless')"
                    for column in table.texts
                )
                found = " OR ".join(
                    f"{column} LIKE '%%' || %(poison)s || '%%'" for column in table.texts
                )
                cursor.execute(f"UPDATE {table.name} SET {texts} WHERE {found}", {"poison": POISON})
                self._count("poison cured", cursor.rowcount)
            calm = f"UPDATE {LINES.name} SET words = replace(words, %s, 'calm') WHERE words LIKE %s"
            cursor.execute(calm, (RESTLESS, f"%{RESTLESS}%"))
            self._count("poison cured", cursor.rowcount)
            cursor.execute(f"SELECT id, body FROM {BODIES.name}")
            for id_, body in cursor.fetchall():
                if isinstance(BODIES.compose([body]), Unreadable):
                    self._set_text(cursor, BODIES, (id_,), "unreadable text mended")
        self._commit(connection)

    def blank(self, cursor: Cursor, table: Table) -> None:
        """A text that goes away."""
        for key in self._keys(cursor, table, 1):
            text = nothing(self._random) if self._random.random() < 0.8 else None
            self._set_text(cursor, table, key, "text blanked", [text] * len(table.texts))

    def long_text(self, cursor: Cursor, table: Table) -> None:
        """A text of 200 kB."""
        for key in self._keys(cursor, table, 1):
            self._set_text(
                cursor,
                table,
                key,
                "long text",
                [long_words(self._random), *["x"] * (len(table.texts) - 1)],
            )

    def huge_text(self, cursor: Cursor, table: Table) -> None:
        """A text of 600,000 characters, or a long one that begins with nothing."""
        for key in self._keys(cursor, table, 1):
            text = [huge_words(self._random), *["x"] * (len(table.texts) - 1)]
            self._set_text(cursor, table, key, "huge text", text)

    def poison(self, cursor: Cursor, table: Table) -> None:
        """A text that the model refuses, in a row that was there or in a new one."""
        text = [f"{words(self._random)} {POISON}"] * len(table.texts)
        if self._random.random() < 0.5:
            key = table.new_key(self._random)
            self._insert_row(cursor, table, key, "inserted")
            self._set_text(cursor, table, key, "poison text", text)
            return
        for key in self._keys(cursor, table, 1):
            self._set_text(cursor, table, key, "poison text", text)

    def unreadable(self, cursor: Cursor, _: Table) -> None:
        """A body of which Postgres makes no text, in a row that was there or in a new
        one; or the repair of one.
        """
        if self._random.random() < 0.3:
            cursor.execute(
                f"SELECT id FROM {BODIES.name} WHERE body = ANY(%s) LIMIT 1", (list(BAD_BODIES),)
            )
            for key in cursor.fetchall():
                self._set_text(cursor, BODIES, key, "unreadable text mended")
            return
        body = self._random.choice(BAD_BODIES)
        if self._random.random() < 0.5:
            key = BODIES.new_key(self._random)
            cursor.execute(f"INSERT INTO {BODIES.name} (id, body) VALUES (%s, %s)", (*key, body))
            self._count("unreadable text", cursor.rowcount)
            return
        for key in self._keys(cursor, BODIES, 1):
            cursor.execute(f"UPDATE {BODIES.name} SET body = %s WHERE {BODIES.where}", (body, *key))
            self._count("unreadable text", cursor.rowcount)

    def restless(self, cursor: Cursor, _: Table) -> None:
        """A text that a trigger changes in every UPDATE, so that no vector is ever of
        it; or the end of one.
        """
        for key in self._keys(cursor, LINES, 1):
            self._set_text(
                cursor, LINES, key, "restless text", [f"{RESTLESS} {words(self._random)}"]
            )

    def save_back(self, cursor: Cursor, table: Table) -> None:
        """A row saved whole, with the vector that it had when it was read, a while ago:
        as object mappers do.

        With the columns beside the vector or without, with another text or another
        column. Half of the time the vector is another row's: most rows still have the
        vector that they had.
        """
        columns = ", ".join((f"{VECTOR}::text", *PROVENANCE))
        old = self._random.choice(self._saved) if self._saved else None
        for key in self._keys(cursor, table, 2):
            cursor.execute(
                f"SELECT {columns} FROM {table.name} WHERE {table.where} AND {VECTOR} IS NOT NULL",
                key,
            )
            self._saved += [(table, key, row) for row in cursor.fetchall()]
        if old is None:
            return
        table, key, values = old
        if self._random.random() < 0.5:
            key = next(iter(self._keys(cursor, table, 1)), key)
        whole = self._random.random() < 0.5
        names = (VECTOR, *PROVENANCE) if whole else (VECTOR,)
        assigned = ", ".join(f"{name} = %s" for name in names)
        statement = f"UPDATE {table.name} SET seen = seen + 1, {assigned} WHERE {table.where}"
        cursor.execute(statement, (*values[: len(names)], *key))
        self._count(
            "old vector and provenance saved" if whole else "old vector saved", cursor.rowcount
        )
        if self._random.random() < 0.4:
            self._set_text(cursor, table, key, "text edited")
