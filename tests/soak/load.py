"""The load: several connections that change the tables at once, from seeded generators.

`pause` returns when no transaction is open, so that what the checker sees does not
move.

Hazard: the generators are seeded, the interleaving of connections and faults is not: a
seed repeats the plan of a campaign, not its every moment. A commit whose answer is lost
with the server counts as aborted, made or not.
"""

import threading
from collections import Counter
from collections.abc import Callable

from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor

from tests.soak.bad_rows import BadRowWriter
from tests.soak.tables import (
    ARTICLES,
    CHANGING,
    NOTES,
    PROBE,
    Table,
)
from tests.soak.texts import long_words, words
from tests.soak.writer import HOT, MOST_ROWS, ROLLED_BACK

_FEWEST_ROWS = 150
_SLOW = 8
"""Long probe texts in a burst: batches that take a while, so that faults and commits
fall into the middle of one.
"""

_PROBES_KEPT = 50

TEXT_KINDS = (
    "inserted",
    "text edited",
    "long text",
    "huge text",
    "text inserted for a trigger to change",
    "restless text",
    "old vector saved",
    "old vector and provenance saved",
    "key and text changed",
    "deleted and inserted again",
    "probe row",
    "poison text",
    "poison cured",
    "unreadable text",
    "unreadable text mended",
)
"""Kinds of change that need a vector made; the bound on the encoded texts rests on
them.
"""


class Changer(BadRowWriter):
    """A writer that does all that the load does."""

    def _transaction(self, connection: Connection) -> None:
        random = self._random
        with connection.cursor() as cursor:
            for _ in range(random.randrange(1, 5)):
                table = random.choice(CHANGING)
                chosen = random.choices(_CHANGES, weights=_WEIGHTS)[0]
                chosen(self, cursor, table)
        if random.random() < 0.1:
            connection.rollback()
            self._changes[ROLLED_BACK] += 1
        else:
            self._commit(connection)

    def burst(self) -> None:
        """Much at once: new rows, every hot row edited, a long text, probe rows; each
        table in its own transaction.
        """
        self._attempt(self._burst)

    def forget_probes(self) -> None:
        """Delete all probe rows but the last."""
        self._attempt(self._forget)

    def _forget(self, connection: Connection) -> None:
        with connection.cursor() as cursor:
            last = f"(SELECT coalesce(max(id), 0) FROM {PROBE.name})"
            cursor.execute(f"DELETE FROM {PROBE.name} WHERE id <= {last} - %s", (_PROBES_KEPT,))
        connection.commit()

    def _burst(self, connection: Connection) -> None:
        with connection.cursor() as cursor:
            for _ in range(60):
                self.insert(cursor, NOTES)
            for table in CHANGING:
                for key in self._keys(cursor, table, HOT, offset=0):
                    self._set_text(cursor, table, key, "text edited")
            self.long_text(cursor, ARTICLES)
            self._commit(connection)
            for _ in range(5):
                self.probe(cursor)
            for _ in range(_SLOW):
                cursor.execute(
                    f"INSERT INTO {PROBE.name} (words) VALUES (%s)", (long_words(self._random),)
                )
            self._count("probe row", _SLOW)
            self._commit(connection)

    def insert(self, cursor: Cursor, table: Table) -> None:
        """New rows; in the small table also over rows that are there."""
        for _ in range(self._random.randrange(1, 4)):
            self._insert_row(cursor, table, table.new_key(self._random), "inserted")

    def edit(self, cursor: Cursor, table: Table) -> None:
        """Other text."""
        for key in self._keys(cursor, table, self._random.randrange(1, 4)):
            self._set_text(cursor, table, key, "text edited")

    def touch(self, cursor: Cursor, table: Table) -> None:
        """Another column of some rows: encodes nothing."""
        for key in self._keys(cursor, table, self._random.randrange(1, 15)):
            cursor.execute(f"UPDATE {table.name} SET seen = seen + 1 WHERE {table.where}", key)
            self._count("other column edited", cursor.rowcount)

    def delete(self, cursor: Cursor, table: Table) -> None:
        """A row less; many less when there are many."""
        cursor.execute(f"SELECT count(*) FROM {table.name}")
        found = cursor.fetchone()
        rows = int(found[0]) if found else 0
        if rows < _FEWEST_ROWS and not table.small:
            return
        for key in self._keys(cursor, table, 200 if rows > MOST_ROWS else 1):
            cursor.execute(f"DELETE FROM {table.name} WHERE {table.where}", key)
            self._count("deleted", cursor.rowcount)

    def rekey(self, cursor: Cursor, table: Table) -> None:
        """Another primary key, with or without another text."""
        for key in self._keys(cursor, table, 1):
            new = table.new_key(self._random)
            assigned = ", ".join(f"{column} = %s" for column in table.key)
            taken = f"NOT EXISTS (SELECT FROM {table.name} WHERE {table.where})"
            statement = f"UPDATE {table.name} SET {assigned} WHERE {table.where} AND {taken}"
            cursor.execute(statement, (*new, *key, *new))
            if cursor.rowcount and self._random.random() < 0.5:
                self._set_text(cursor, table, new, "key and text changed")
            else:
                self._count("key changed", cursor.rowcount)

    def reborn(self, cursor: Cursor, table: Table) -> None:
        """A row deleted and inserted again with its key, in one transaction."""
        for key in self._keys(cursor, table, 1):
            cursor.execute(f"DELETE FROM {table.name} WHERE {table.where}", key)
            self._insert_row(cursor, table, key, "deleted and inserted again")

    def undone(self, cursor: Cursor, table: Table) -> None:
        """An edit rolled back to a savepoint."""
        cursor.execute("SAVEPOINT undone")
        kept = len(self._pending)
        self.edit(cursor, table)
        del self._pending[kept:]
        cursor.execute("ROLLBACK TO SAVEPOINT undone")

    def hold(self, cursor: Cursor, table: Table) -> None:
        """Rows held by FOR UPDATE for a second or two, one of them edited; half of the
        time held again after the commit, so that its event comes while no one can
        write. Seldom hot ones, whose next edit would repair a loss.
        """
        columns = ", ".join(table.key)
        select = (
            f"SELECT {columns} FROM {table.name} ORDER BY {columns} OFFSET %s LIMIT 2 FOR "
            "UPDATE SKIP LOCKED"
        )
        cursor.execute(select, (self._random.randrange(_FEWEST_ROWS),))
        held = cursor.fetchall()
        if held:
            self._set_text(cursor, table, held[0], "text edited")
            if self._random.random() < 0.5:
                self._commit(cursor.connection)
                for key in held:
                    cursor.execute(
                        f"SELECT FROM {table.name} WHERE {table.where} FOR UPDATE SKIP LOCKED", key
                    )
            self._ended.wait(self._random.uniform(0.5, 2.0))
            self._count("rows held", len(held))

    def truncate(self, cursor: Cursor, table: Table) -> None:
        """The small table emptied and filled again."""
        if not table.small:
            return
        cursor.execute(f"TRUNCATE {table.name}")
        self._count("truncated", 1)
        for number in range(12):
            self._insert_row(cursor, table, (number,), "inserted")

    def probe(self, cursor: Cursor) -> None:
        """Rows for the watch."""
        rows = self._random.randrange(1, 8)
        for _ in range(rows):
            cursor.execute(f"INSERT INTO {PROBE.name} (words) VALUES (%s)", (words(self._random),))
        self._count("probe row", rows)


_Change = Callable[[Changer, Cursor, Table], None]
_MIX: tuple[tuple[_Change, float], ...] = (
    (Changer.insert, 14),
    (Changer.edit, 30),
    (Changer.touch, 18),
    (Changer.delete, 8),
    (Changer.rekey, 6),
    (Changer.reborn, 4),
    (Changer.blank, 4),
    (Changer.long_text, 0.7),
    (Changer.huge_text, 0.4),
    (Changer.poison, 1.5),
    (Changer.unreadable, 4),
    (Changer.restless, 0.7),
    (Changer.save_back, 8),
    (Changer.undone, 3),
    (Changer.hold, 1),
    (Changer.truncate, 1.5),
    (lambda writer, cursor, _: writer.probe(cursor), 12),
)
_CHANGES = [change for change, _ in _MIX]
_WEIGHTS = [weight for _, weight in _MIX]


class Load:
    """All writers."""

    def __init__(self, dsn: str, seed: int, connections: int = 4) -> None:
        """Make the writers; they start paused."""
        self._counts: list[Counter[str]] = [Counter() for _ in range(connections + 1)]
        self._going = threading.Event()
        self._writers = [
            Changer(dsn, f"{seed}/{i}", self._counts[i], self._going) for i in range(connections)
        ]
        self._burster = Changer(dsn, f"{seed}/burst", self._counts[-1], self._going)

    @property
    def changes(self) -> Counter[str]:
        """Changes made, by kind: rows, not statements."""
        return sum(self._counts, Counter())

    def start(self) -> None:
        """Start the writers and fill the tables."""
        for writer in self._writers:
            writer.start()
        for _ in range(4):
            self._burster.burst()
        self.resume()

    def resume(self) -> None:
        """Let the writers work."""
        self._going.set()

    def burst(self) -> None:
        """Much at once, now."""
        self._burster.burst()

    def pause(self) -> None:
        """Return when every transaction is over."""
        self._going.clear()
        for writer in self._writers:
            with writer.busy:
                pass

    def forget_probes(self) -> None:
        """Delete probe rows, which would make every check slower. Only when all rows
        are true.
        """
        self._burster.forget_probes()

    def cure(self) -> None:
        """Give every row that has no vector for its text another text. Only while
        Postgres answers.
        """
        self._burster.cure()

    def stop(self) -> None:
        """End the writers."""
        self._going.clear()
        for writer in self._writers:
            writer.end()
        for writer in self._writers:
            writer.join(30)
