"""Building the vector indexes of a migration: CREATE INDEX CONCURRENTLY, watched from a second connection.

Hazards:
- It runs outside of a transaction, waits for every older transaction of the database, and must not be under
  lock_timeout; it holds no lock that an application's read or write would wait for.
- What a failed or killed build leaves is an index that is INVALID: never used, but kept up on every write. It is
  dropped, concurrently, before the next attempt.
"""

import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from psycopg2 import sql

from connectors.ports import Clock
from connectors.postgres import catalog, migration, queries
from connectors.postgres.session import Session
from connectors.postgres.statement import render
from schemas.errors import EmbedsyncError
from schemas.migration import ColumnMigration, IndexNames

_POLL_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a build is.

    Attributes:
        index: its name.
        phase: in the words of pg_stat_progress_create_index.
        done: tuples loaded, or else blocks read.
        total: of the same; 0 when the server does not know.
    """

    index: str
    phase: str
    done: int
    total: int


Watch = Callable[[Progress], None]


class Builder:
    """Builds the indexes of columns that are under way."""

    def __init__(self, session: Session, watcher: Session, clock: Clock) -> None:
        """Join the parts.

        Args:
            session: of the tables' owner; it is busy while an index is built.
            watcher: a second connection, for the progress.
            clock: for the pauses between two looks.
        """
        self._session = session
        self._watcher = watcher
        self._clock = clock

    def build(self, found: Sequence[ColumnMigration], watch: Watch, *, memory: str | None = None) -> list[str]:
        """Build what is missing.

        Args:
            found: the columns.
            watch: takes the progress, twice a second.
            memory: `maintenance_work_mem` of the build, for example `2GB`; the server's when None.

        Returns:
            names of the indexes that were built.

        Raises:
            EmbedsyncError: the table is partitioned, the index cannot be carried over, or the server refuses it.
        """
        built = []
        for made in found:
            info = catalog.inspect(self._session, made.table)
            column = made.column if made.offline else made.beside or made.column
            there = {index.name: index for index in migration.indexes(self._session, info.oid, column)}
            for names in made.indexes:
                name = names.served if made.offline else names.growing
                index = there.get(name)
                if index is not None and index.valid:
                    continue
                if info.kind == "p":
                    raise EmbedsyncError(
                        f"{made.table} is partitioned, and PostgreSQL builds no index concurrently there",
                        fix=f"build {name} yourself, partition by partition, then attach: {definition(made, names)}",
                    )
                if index is not None:
                    self._drop(made, name)
                self._create(name, definition(made, names), watch, memory)
                built.append(name)
        return built

    def _drop(self, made: ColumnMigration, name: str) -> None:
        query = sql.SQL("DROP INDEX CONCURRENTLY IF EXISTS {}").format(sql.Identifier(made.table.schema, name))
        self._session.rows(render(self._session, query))

    def _create(self, name: str, create: str, watch: Watch, memory: str | None) -> None:
        self._session.rows("SET lock_timeout = 0")
        if memory:
            self._session.rows("SELECT set_config('maintenance_work_mem', %s, false)", (memory,))
        pid = self._session.connection().info.backend_pid
        failures: list[EmbedsyncError] = []

        def work() -> None:
            try:
                self._session.rows(create)
            except EmbedsyncError as error:
                failures.append(error)

        thread = threading.Thread(target=work, name="create index", daemon=True)
        thread.start()
        try:
            while thread.is_alive():
                self._look(name, pid, watch)
                thread.join(_POLL_SECONDS)
        except BaseException:
            # Ctrl-C: the server would go on building for nobody.
            self._watcher.rows("SELECT pg_cancel_backend(%s)", (pid,))
            thread.join()
            raise
        if failures:
            raise failures[0]

    def _look(self, name: str, pid: int, watch: Watch) -> None:
        for phase, blocks, of_blocks, tuples, of_tuples in self._watcher.rows(
            queries.text("index_progress"), {"pid": pid}
        ):
            watch(Progress(name, phase, tuples or blocks or 0, of_tuples or of_blocks or 0))


def definition(made: ColumnMigration, names: IndexNames) -> str:
    """The served index's definition, for the new column: another name, another column, another length.

    Raises:
        EmbedsyncError: the new vectors are too long for the method.
    """
    column, name = (made.column, names.served) if made.offline else (made.beside or made.column, names.growing)
    on = names.definition.split(" ON ", 1)[1]
    body, options, rest = on.partition(" WITH (")
    inside, _, condition = rest.partition(")")
    body, condition = (_moved(part, made, column) for part in (body, condition))
    on = f"{body}{options}{inside}{')' if options else ''}{condition}"
    _check_length(made, names, on)
    return f"CREATE INDEX CONCURRENTLY {_quoted(name)} ON {on}"


def _moved(part: str, made: ColumnMigration, column: str) -> str:
    """Part of a definition with the column's name and length replaced; never its storage options, like `m`."""
    # pg_get_indexdef prints a name in quotes only where it needs them.
    for spelling in (_quoted(made.column), made.column):
        part = re.sub(rf'(?<![\w".]){re.escape(spelling)}(?![\w"])', lambda _: _quoted(column), part)
    return re.sub(rf"\b(vector|halfvec)\({made.from_dimensions}\)", rf"\1({made.to_dimensions})", part)


def _check_length(made: ColumnMigration, names: IndexNames, on: str) -> None:
    # pgvector's limits of HNSW and IVFFlat: 2,000 dimensions for vector, 4,000 for halfvec.
    most = 4000 if "halfvec" in on else 2000
    if made.to_dimensions > most:
        raise EmbedsyncError(
            f"index {names.served} cannot hold {made.to_dimensions} dimensions, pgvector takes {most}",
            fix="drop it before `migrate start`, and index the new column as halfvec yourself",
        )


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
