"""Adopt vectors that the application made: find, draw some, write their provenance.

It works with the rights of the worker's role, and its writes carry an origin of ours.

Hazards:
- Nothing records what a vector was made from, so a row whose text was edited after its
  vector was made looks like any other. A horizon leaves out what was written since it
  was taken; of earlier edits only the operator can know (streams/audit/adopt.py).
- If the new row version of an UPDATE does not fit into the page of the old one, it is
  entered into every index of the table. For a vector index that takes milliseconds.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from psycopg2 import sql
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor

from connectors.postgres import queries
from connectors.postgres.audit import judged
from connectors.postgres.audit.judged import PAGE, JudgedRows
from connectors.postgres.rows import own_writes, table_refusals, wanted
from connectors.postgres.rows.keys import key_arrays, keys_of, lock_free
from connectors.postgres.rows.own_writes import OwnWrites
from connectors.postgres.session import Session
from schemas.errors import TargetMismatch
from schemas.messages.chunk import deal
from schemas.rows.table import Key
from schemas.rows.target import Target
from schemas.settings.sections import PostgresSettings

_DEALT_PAGES = 20
"""Pages that are dealt together, as many as a replay deals chunks."""


@dataclass(frozen=True, slots=True)
class Horizon:
    """A moment.

    Attributes:
        xid: every transaction with a 64-bit id below this is over.
        position: what those wrote lies before it in the log; bytes from its beginning.
    """

    xid: int
    position: int


@dataclass
class Page:
    """What became of the rows of one page.

    Attributes:
        adopted: how many.
        locked: how many another transaction holds; they were not waited for.
        refused: rows whose write a constraint or trigger of the table refuses, with the
            reason.
    """

    adopted: int = 0
    locked: int = 0
    refused: dict[Key, str] = field(default_factory=dict)


class Adoption:
    """The database's side of `vectrue adopt`."""

    def __init__(self, settings: PostgresSettings, *, prefix: str | None = None) -> None:
        """Remember how to connect; `prefix` is as for `Session`."""
        self._settings = settings
        self._session = Session(settings.dsn, role="adopt", prefix=prefix)
        self._writer = Session(settings.dsn, role="adopt", prefix=prefix, setup=self._prepare)
        self._own = OwnWrites(self._writer, settings)
        self._judged = JudgedRows(self._session)

    def horizon(self) -> Horizon:
        """The horizon of this moment; a long transaction holds it back."""
        xid, position = self._session.rows(queries.text("horizon"))[0]
        return Horizon(xid, position)

    def count(self, target: Target, horizon: Horizon) -> Mapping[str, int]:
        """Count vectors without provenance, in one scan.

        Returns:
            counts by what keeps vectors from being adopted
            (schemas/reports/adoption.py).
        """
        rows = self._judged.rows(target.guard(), chosen=_unowned(target), recent=_recent(target))
        query = queries.compose("adoptable_rows", audited=rows, adoptable=_adoptable())
        lines = self._session.rows(query, _parameters(target, horizon))
        return {kind: int(rows) for kind, rows in lines}

    def draw(
        self, target: Target, horizon: Horizon, count: int, among: int, seed: int
    ) -> list[Key]:
        """Draw keys of vectors that can be adopted; each set is equally likely.

        Args:
            target: the column.
            horizon: of the count.
            count: keys wanted.
            among: how many vectors can be adopted.
            seed: any number.
        """
        chosen = _settled(target)
        return self._judged.draw(
            target, _keys, count, among, seed, chosen=chosen, horizon=horizon.xid
        )

    def keys(self, target: Target, horizon: Horizon) -> Iterator[Sequence[Key]]:
        """Keys of all vectors that can be adopted, in pages without neighbouring rows."""
        keys: list[Key] = []
        for page in self._judged.pages(target, _keys, chosen=_settled(target), horizon=horizon.xid):
            keys += page
            if len(keys) >= _DEALT_PAGES * PAGE:
                yield from deal(keys, PAGE)
                keys = []
        yield from deal(keys, PAGE)

    def vectors(
        self, target: Target, horizon: Horizon, keys: Sequence[Key]
    ) -> list[tuple[Key, str, Sequence[float], bytes]]:
        """Key, text, vector and its sha256 of the rows that are as they were drawn."""
        return self._judged.vectors(
            target, keys, "stale_model", chosen=_settled(target), horizon=horizon.xid
        )

    def adopt(self, target: Target, horizon: Horizon, keys: Sequence[Key]) -> Page:
        """Write the provenance of a page's vectors, in one transaction.

        Vectors that can no longer be adopted are left alone.

        Raises:
            TargetMismatch: the model is no longer the wanted one; nothing was written.
        """
        page = Page()
        with self._own.transaction() as cursor:
            # Once the rows are locked, the next statement sees their last version.
            free = lock_free(cursor, target, keys)
            page.locked = len(keys) - len(free)
            refused: table_refusals.Refused = {}
            written = table_refusals.in_halves(
                cursor,
                lambda part: self._write(cursor, target, horizon, free, part),
                range(len(free)),
                refused,
                table=str(target.table),
            )
            # After the write, which takes time, and before the commit.
            self._check_target(cursor, target)
        page.adopted = len(written)
        for position, error in refused.items():
            if table_refusals.may_pass(error):
                page.locked += 1
            else:
                page.refused[free[position]] = table_refusals.reason(error)
        return page

    def close(self) -> None:
        """End the connections."""
        self._session.close()
        self._writer.close()

    def _write(
        self,
        cursor: Cursor,
        target: Target,
        horizon: Horizon,
        keys: Sequence[Key],
        part: Sequence[int],
    ) -> list[int]:
        chosen = sql.SQL("{} AND {}").format(
            queries.for_target("asked_keys", target), _settled(target)
        )
        rows = self._judged.rows(target.guard(), chosen=chosen)
        query = queries.for_target("adopt_rows", target, audited=rows, adoptable=_adoptable())
        by_key = {keys[position]: position for position in part}
        asked = key_arrays(list(by_key))
        place = wanted.place(target)
        cursor.execute(query, {**_parameters(target, horizon), **place, **asked})
        return [by_key[key] for key in keys_of(cursor.fetchall())]

    def _check_target(self, cursor: Cursor, target: Target) -> None:
        found = wanted.within(cursor, target)
        if found is None or not found.fits(target):
            raise TargetMismatch(
                f"{target.name} no longer wants vectors of {target.model}, or of this text",
                fix="run `vectrue status`, then repeat",
            )

    def _prepare(self, connection: Connection) -> None:
        own_writes.limit_waits(connection, self._settings)


def _keys(rows: sql.Composable) -> sql.Composed:
    return queries.compose("adoptable_keys", audited=rows, adoptable=_adoptable())


def _adoptable() -> sql.Composed:
    return queries.compose("adoptable")


def _unowned(target: Target) -> sql.Composed:
    return queries.for_target("unowned", target)


def _recent(target: Target) -> sql.Composed:
    return queries.for_target("recent", target)


def _settled(target: Target) -> sql.Composed:
    return sql.SQL("({}) AND NOT ({})").format(_unowned(target), _recent(target))


def _parameters(target: Target, horizon: Horizon) -> dict[str, Any]:
    return {**judged.parameters_of(target), "horizon": horizon.xid}
