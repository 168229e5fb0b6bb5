"""A migration of vector columns to another model: states, names, allowed steps.

    none ── start ──► started ── swap ──► swapped ── finish ──► finished
                       │   ▲                │
                rollback   └── rollback ────┘
                       ▼
                  rolled_back

Online, the new vectors grow in a second column beside the old one; the swap renames
both. Offline, the column itself is emptied and changed, `finish` follows on `started`,
and `rollback` empties it once more.

Every decision is made for each column by its own state: columns of one migration may be
at different steps.

Hazard: every name here is derived from the served column's name, cut to what Postgres
keeps of a name (63 bytes).
"""

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from schemas.errors import VectrueError
from schemas.rows.table import TableName

# In bytes, NAMEDATALEN - 1.
_LONGEST_NAME = 63
_LONGEST_PROVENANCE = len("_model")


class MigrationState(StrEnum):
    """Where a migration of one column stands."""

    STARTED = "started"
    SWAPPED = "swapped"
    FINISHED = "finished"
    ROLLED_BACK = "rolled_back"


OPEN = (MigrationState.STARTED, MigrationState.SWAPPED)


@dataclass(frozen=True, slots=True)
class IndexNames:
    """One vector index through a migration.

    `served` is the name readers know, the others are those of its twin before and after
    the swap.
    """

    served: str
    growing: str
    retired: str
    definition: str
    """`CREATE INDEX` of the served one, as pg_get_indexdef prints it; offline, all that
    is left of it.
    """
    tablespace: str | None = None
    """Where it was kept, if not where the database is."""


@dataclass(frozen=True, slots=True)
class ColumnMigration:
    """One column on its way from one model to another.

    Attributes:
        table: which table.
        column: the vector column that readers use, before and after.
        state: how far it is.
        offline: whether the column itself was emptied, instead of a second one growing
            beside it.
        frozen: whether the old vectors are no longer kept true.
        from_model: model id of the old vectors; None when the column had none.
        from_dimensions: their length.
        to_model: model id of the new ones.
        to_dimensions: their length.
        indexes: the vector indexes, as the steps `index`, `swap` and `rollback` name
            them.
        from_settings: name, revision, dimensions and max_tokens by which the old model
            is opened.
        to_settings: those of the new model.
    """

    table: TableName
    column: str
    state: MigrationState
    offline: bool
    frozen: bool
    from_model: str
    from_dimensions: int
    to_model: str
    to_dimensions: int
    indexes: tuple[IndexNames, ...] = ()
    from_settings: Mapping[str, Any] = field(default_factory=dict)
    to_settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """`schema.table.column`, for messages."""
        return f"{self.table}.{self.column}"

    @property
    def beside(self) -> str | None:
        """The column beside the served one: growing, then retired; None offline."""
        if self.offline:
            return None
        return (
            growing(self.column) if self.state is MigrationState.STARTED else retired(self.column)
        )


class MigrationStep(StrEnum):
    """The commands that move a migration."""

    INDEX = "index"
    SWAP = "swap"
    ROLLBACK = "rollback"
    FINISH = "finish"


_ALLOWED: dict[tuple[MigrationState, bool], tuple[MigrationStep, ...]] = {
    (MigrationState.STARTED, False): (
        MigrationStep.INDEX,
        MigrationStep.SWAP,
        MigrationStep.ROLLBACK,
    ),
    (MigrationState.SWAPPED, False): (
        MigrationStep.SWAP,
        MigrationStep.ROLLBACK,
        MigrationStep.FINISH,
    ),
    (MigrationState.STARTED, True): (
        MigrationStep.INDEX,
        MigrationStep.ROLLBACK,
        MigrationStep.FINISH,
    ),
}
_WHY_NOT = {
    (MigrationState.STARTED, False): ("not swapped yet", "vectrue migrate swap"),
    (MigrationState.SWAPPED, False): (
        "swapped already",
        "vectrue migrate finish{flags}, or rollback",
    ),
    (MigrationState.STARTED, True): ("offline, without a second column", "vectrue migrate finish"),
}


def openings(under_way: Iterable[ColumnMigration]) -> dict[str, Mapping[str, Any]]:
    """How the models of these migrations are opened, by their ids."""
    found: dict[str, Mapping[str, Any]] = {}
    for made in under_way:
        found |= {made.from_model: made.from_settings, made.to_model: made.to_settings}
    return found


def is_behind(model: str, wanted: str | None, under_way: Iterable[ColumnMigration]) -> bool:
    """Whether a column that is not under way is yet to follow the others.

    It holds then the model that the others come from.

    Args:
        model: id of the model that the database wants in it.
        wanted: id of the model that the settings name.
        under_way: the migrations of the other columns, also those that are finished.
    """
    steps = [(made.from_model, made.to_model) for made in under_way]
    return (model, wanted) in steps


def growing(column: str) -> str:
    """Name of the column in which the new vectors grow."""
    # The names of its provenance columns must fit as well.
    return suffixed(column, "_v2", room=_LONGEST_PROVENANCE)


def retired(column: str) -> str:
    """Name of the old vectors' column after the swap."""
    return suffixed(column, "_old", room=_LONGEST_PROVENANCE)


def index_names(name: str, definition: str, tablespace: str | None = None) -> IndexNames:
    """The names of an index and its twin."""
    return IndexNames(name, suffixed(name, "_v2"), suffixed(name, "_old"), definition, tablespace)


def require(step: MigrationStep, migrations: Sequence[ColumnMigration]) -> list[ColumnMigration]:
    """The columns that a step is for, each by its own state.

    Returns:
        those that may take the step; all of them where the step drops something.

    Raises:
        VectrueError: it is for none of them, or would end a part of them; with the
            command that comes next.
    """
    if not migrations:
        raise VectrueError(
            f"there is no migration to {step}",
            fix="vectrue migrate start --model NAME --dimensions N",
        )
    takes: list[ColumnMigration] = []
    left: list[ColumnMigration] = []
    for one in migrations:
        if step in _ALLOWED[one.state, one.offline]:
            takes.append(one)
        else:
            left.append(one)
    # `finish` drops the old vectors, so it never ends a part of a migration by itself.
    if left and (not takes or step is MigrationStep.FINISH):
        raise _too_early(step, left, takes)
    return takes


def _too_early(
    step: MigrationStep, left: Sequence[ColumnMigration], takes: Sequence[ColumnMigration]
) -> VectrueError:
    whys: dict[str, list[str]] = {}
    for one in left:
        whys.setdefault(_WHY_NOT[one.state, one.offline][0], []).append(one.name)
    clauses: list[str] = []
    for said, names in whys.items():
        verb = "is" if len(names) == 1 else "are"
        clauses.append(f"{', '.join(names)} {verb} {said}")
    why = "; ".join(clauses)
    instead = _WHY_NOT[left[0].state, left[0].offline][1]
    # The fix is for the columns that are where the first one is; the next call says more.
    alike: list[TableName] = []
    for one in left:
        if (one.state, one.offline) == (left[0].state, left[0].offline):
            alike.append(one.table)
    flags = table_flags(alike) if takes or len(alike) < len(left) else ""
    fix = instead.format(flags=flags) if "{flags}" in instead else f"{instead}{flags}"
    if takes:
        ready = [one.table for one in takes]
        fix = f"{fix}; or, for those that are ready, vectrue migrate {step}{table_flags(ready)}"
    return VectrueError(f"cannot {step}: {why}", fix=fix)


def table_flags(tables: Iterable[TableName]) -> str:
    """` -t public.questions -t ...`, as a shell takes it: each table once."""
    # A table with several columns is named once.
    flags: dict[str, None] = {}
    for table in tables:
        flags[f" -t {shlex.quote(str(table))}"] = None
    return "".join(flags)


def suffixed(name: str, suffix: str, *, room: int = 0) -> str:
    """A name with a suffix, cut to what Postgres keeps of it.

    `room` bytes are left for a further suffix.
    """
    most = _LONGEST_NAME - len(suffix) - room
    # Cut in bytes, as Postgres does it; half a character at the end is left out.
    return name.encode()[:most].decode(errors="ignore") + suffix
