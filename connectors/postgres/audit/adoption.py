"""Adopting vectors that the application made: which can be, some of them to compare,
and writing their provenance.

Works with the rights of the worker's role, and its writes are labelled as the worker's
are.

Hazards:
- What a vector was made from is not written anywhere, so a row whose text was edited
  after its vector was made looks like any other. A horizon leaves out what was written
  since it was taken; what was edited before, only the caller can know of
  (streams/audit/adopt.py).
- An UPDATE whose new row version finds no room in the page of the old one enters it
  into every index of the table, a vector index too, which takes milliseconds a row.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from psycopg2 import sql
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor

from connectors.postgres import queries
from connectors.postgres.audit.judged import PAGE, JudgedRows, wanted
from connectors.postgres.rows import own_writes, table_refusals
from connectors.postgres.rows.keys import key_arrays
from connectors.postgres.rows.own_writes import OwnWrites
from connectors.postgres.session import Session
from schemas.errors import TargetMismatch
from schemas.messages.chunk import deal
from schemas.rows.table import Key
from schemas.rows.target import Target
from schemas.settings.sections import PostgresSettings

_DEALT_PAGES = 20
"""Pages that are dealt out together, as many as the chunks of a replay."""


@dataclass(frozen=True, slots=True)
class Horizon:
    """A moment: every transaction with a 64-bit id below `xid` is over, and all it
    wrote lies before `position`.
    """

    xid: int
    position: int
    """In the log, as bytes from its beginning."""


@dataclass
class Page:
    """What became of the rows of one page."""

    adopted: int = 0
    locked: int = 0
    """Rows that another transaction holds: not waited for."""
    refused: dict[Key, str] = field(default_factory=dict)
    """Rows whose write a constraint or trigger of the table refuses, with the reason.
    """


class Adoption:
    """The database's side of `vectrue adopt`."""

    def __init__(self, settings: PostgresSettings, *, prefix: str | None = None) -> None:
        """Remember how to connect; `prefix` as for `Session`."""
        self._settings = settings
        self._session = Session(settings.dsn, role="adopt", prefix=prefix)
        self._writer = Session(settings.dsn, role="adopt", prefix=prefix, setup=self._prepare)
        self._own = OwnWrites(self._writer, settings)
        self._judged = JudgedRows(self._session)

    def horizon(self) -> Horizon:
        """The horizon of this moment; a transaction that takes long keeps it back."""
        return Horizon(*self._session.rows(queries.text("horizon"))[0])

    def count(self, target: Target, horizon: Horizon) -> Mapping[str, int]:
        """Vectors without provenance, by what keeps them from being adopted
        (schemas/reports/adoption.py). One scan.
        """
        rows = self._judged.rows(target.guard(), chosen=_unowned(target), recent=_recent(target))
        query = queries.compose("adoptable_rows", audited=rows, adoptable=_adoptable())
        return {
            kind: int(rows)
            for kind, rows in self._session.rows(query, _parameters(target, horizon))
        }

    def draw(
        self, target: Target, horizon: Horizon, count: int, among: int, seed: int
    ) -> list[Key]:
        """Keys of `count` vectors that can be adopted, each set equally likely, of
        `among` that `count` found.
        """
        chosen = _settled(target)
        return self._judged.draw(
            target, _keys, count, among, seed, chosen=chosen, horizon=horizon.xid
        )

    def keys(self, target: Target, horizon: Horizon) -> Iterator[Sequence[Key]]:
        """Keys of all vectors that can be adopted, in pages of rows that are no
        neighbours (schemas.messages.chunk.deal).
        """
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
        """Key, text, vector and its sha256 of those rows that nothing was written to
        since they were drawn.
        """
        return self._judged.vectors(
            target, keys, "stale_model", chosen=_settled(target), horizon=horizon.xid
        )

    def adopt(self, target: Target, horizon: Horizon, keys: Sequence[Key]) -> Page:
        """Write the provenance of those of a page's vectors that can still be adopted,
        in one transaction.

        Raises:
            TargetMismatch: the model is no longer the wanted one; nothing was written.
        """
        page = Page()
        with self._own.transaction() as cursor:
            # Locked first, and without waiting: the statement behind it then sees the
            # rows as they stand.
            cursor.execute(queries.for_target("lock_rows", target), key_arrays(keys))
            free = [keys[int(ord_) - 1] for (ord_,) in cursor.fetchall()]
            page.locked = len(keys) - len(free)
            refused: table_refusals.Refused = {}
            written = table_refusals.in_halves(
                cursor,
                lambda part: self._write(cursor, target, horizon, free, part),
                range(len(free)),
                refused,
                table=str(target.table),
            )
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
        place = {"table": str(target.table), "column": target.column}
        asked = key_arrays([keys[position] for position in part])
        cursor.execute(query, {**_parameters(target, horizon), **place, **asked})
        by_key = {keys[position]: position for position in part}
        return [by_key[tuple(key)] for (key,) in cursor.fetchall()]

    def _check_target(self, cursor: Cursor, target: Target) -> None:
        cursor.execute(
            queries.text("wanted_target"), {"table": str(target.table), "column": target.column}
        )
        line = cursor.fetchone()
        if line is None or (*line[:2], line[3]) != (
            target.model,
            target.dimensions,
            target.text_digest.hex(),
        ):
            raise TargetMismatch(
                f"{target.name} does not want vectors of {target.model}, or of this text, any more",
                fix="vectrue status, then repeat",
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
    return {**wanted(target), "horizon": horizon.xid}
