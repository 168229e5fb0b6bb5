"""What a migration will take, table by table and step by step, before anything is
changed: the whole to-do.

Sources of the figures: a vector takes 4 * dimensions + 8 bytes (pgvector); a row of
more than 2,000 bytes keeps its vector out of line, in chunks of 1,996 bytes with 36
bytes each (PostgreSQL, TOAST). An index of the new length is estimated from the old
one, by the lengths' ratio. Where nothing was measured, nothing is said.
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from connectors.models import describe_model
from connectors.ports import Clock
from connectors.postgres import catalog
from connectors.postgres.ledger.runs import RunLedger
from connectors.postgres.migrations import dependents, migration, outlook, twins
from connectors.postgres.migrations.twins import Index
from connectors.postgres.session import Session
from schemas.reports.migration import ColumnMigration, growing, openings, table_flags
from schemas.rows.index_definition import Vectors
from schemas.rows.table import TableName
from schemas.rows.target import Target
from schemas.settings.reading import Settings
from schemas.settings.sections import ModelSettings
from streams.common import targets as target_rules
from streams.migration import in_flight as migrate_scope
from streams.migration import status as migrate_status
from streams.migration.next_step import still_to_follow
from streams.migration.planning import command_list as migrate_list
from streams.migration.planning import todo as migrate_todo
from streams.migration.planning import wanted_model as migrate_asked
from streams.migration.planning.command_list import TableCommands
from streams.migration.planning.todo import Todo
from streams.migration.planning.wanted_model import WantedModel

_TOAST_CHUNK = 1996
_TOAST_OVERHEAD = 36
_PROVENANCE_BYTES = 32 + 60 + 8
"""sha256, a model id of about sixty characters, and a time."""


@dataclass(frozen=True, slots=True)
class TablePlan:
    """One column's part.

    Attributes:
        table: which.
        column: its vector column.
        state: `started` or `swapped` where a migration is under way.
        rows: as the statistics have it, of all partitions; None where a part was never
            counted.
        from_model: what is left.
        from_dimensions: its length.
        to_dimensions: the new one.
        table_bytes: the table with its partitions and TOAST, now; None when it is not
            told.
        more_bytes: what the new vectors will add until `finish`; None when the rows are
            not known.
        free_bytes: room on the table's disk; None where it cannot be known from here.
        partitions: how many tables hold its rows, where that is not the table itself;
            else 0.
        indexes: the indexes that will be built again; those of single partitions by
            their name and table.
        index_parts: every index that has a size, partitions' too: name, table, bytes,
            definition.
        index_bytes: estimate of their size on the new column.
        invalid: indexes that nothing uses, and that are not built again.
        readers: what depends on the column, and goes on with the old vectors after the
            swap.
        seconds: of one replay worker, at the rate that the old model was measured with;
            None when it was not.
        todo: what blocks which step, and what is to be done by hand.
    """

    table: str
    column: str
    state: str | None
    rows: int | None
    from_model: str
    from_dimensions: int
    to_dimensions: int
    table_bytes: int | None
    more_bytes: int | None
    free_bytes: int | None
    partitions: int
    indexes: tuple[str, ...]
    index_parts: tuple[dict[str, Any], ...]
    index_bytes: int
    invalid: tuple[str, ...]
    readers: tuple[str, ...]
    seconds: float | None
    todo: tuple[Todo, ...]

    def to_json(self) -> dict[str, Any]:
        """The figures by field name."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class MigrationPlan:
    """The whole.

    Attributes:
        to_model: id of the model to move to; None where its files are not here.
        tables: the columns.
        todo: what concerns all of them.
        commands: what to type, in this order; a line that begins with `#` is for the
            hands.
        under_way: one sentence about a migration that is under way; None without.
    """

    to_model: str | None
    tables: tuple[TablePlan, ...]
    todo: tuple[Todo, ...]
    commands: tuple[str, ...]
    under_way: str | None

    @property
    def refusals(self) -> list[Todo]:
        """Why `start` would be refused now."""
        every = [*self.todo, *(todo for table in self.tables for todo in table.todo)]
        return [todo for todo in every if todo.blocks and todo.step == "start"]

    def to_json(self) -> dict[str, Any]:
        """For scripts."""
        return {
            "to_model": self.to_model,
            "under_way": self.under_way,
            "tables": [t.to_json() for t in self.tables],
            "todo": [todo.to_json() for todo in self.todo],
            "commands": list(self.commands),
            "refused": [todo.what for todo in self.refusals],
        }


LOCKS = (
    (
        "start",
        "ACCESS EXCLUSIVE on all tables at once",
        "milliseconds (nothing is rewritten), tried under lock_timeout",
    ),
    ("replay", "row locks, 64 rows at a time", "milliseconds each; a locked row is left for later"),
    ("index", "SHARE UPDATE EXCLUSIVE", "as long as the build takes; reads and writes go on"),
    (
        "swap",
        "ACCESS EXCLUSIVE on all tables at once",
        "milliseconds (names only), tried under lock_timeout",
    ),
    ("finish", "ACCESS EXCLUSIVE on all tables at once", "milliseconds (nothing is rewritten)"),
)
OFFLINE_LOCKS = (
    (
        "start",
        "ACCESS EXCLUSIVE on all tables at once",
        "as long as the table takes to rewrite; nothing passes",
    ),
    (
        "replay",
        "row locks, 64 rows at a time",
        "search finds nothing until it has filled the rows again",
    ),
    ("index", "SHARE UPDATE EXCLUSIVE", "as long as the build takes; reads and writes go on"),
    ("finish", "none", "-"),
)


def make(
    settings: Settings,
    session: Session,
    model: ModelSettings,
    clock: Clock,
    *,
    offline: bool = False,
    tables: Sequence[str] | None = None,
) -> MigrationPlan:
    """Look at the served columns; nothing is written, and the workers' role may.

    Args:
        settings: all of them.
        session: any connection that may read the catalogue.
        model: the model to move to, as flags name it; its weights are not needed.
        clock: for the pauses while rows are on their way.
        offline: whether the column itself will be emptied.
        tables: those that are meant; None: all configured ones.

    Raises:
        ConfigurationError: a table is not as `init` left it, or there is no such model.
    """
    asked = migrate_asked.look(model)
    targets = target_rules.served(settings.only(tables), session)
    places = {(target.table, target.column) for target in targets}
    found = {m.table: m for m in migration.read(session) if (m.table, m.column) in places}
    report = migrate_status.read(settings, session, clock, tables) if found else None
    maker = _Maker(settings, session, asked, offline=offline)
    left = [maker.why_left(target, found.get(target.table)) for target in targets]
    alone = all(left)
    plans = [
        maker.table(target, found.get(target.table), _leaving(why, alone=alone))
        for target, why in zip(targets, left, strict=True)
    ]
    todo = [
        *asked.todo,
        *_to_follow(settings, session, asked, [target.table for target in targets]),
    ]
    entries = [
        _entry(*one, report, asked, offline=offline, alone=alone)
        for one in zip(targets, plans, strict=True)
    ]
    flags = table_flags(target.table for target in targets) if tables else ""
    commands = (
        migrate_list.lines(
            entries, todo, named=asked.named, flags=flags, naming=asked.naming(settings.model)
        )
        if asked.is_clear
        else []
    )
    return MigrationPlan(
        asked.model_id,
        tuple(plans),
        tuple(todo),
        tuple(commands),
        _under_way(found.values(), report),
    )


def _leaving(why: Todo | None, *, alone: bool) -> Todo | None:
    """Why a table stays as it is; a refusal of `start` where there is no other to start
    with.
    """
    if why is None or alone:
        return why
    return replace(why, blocks=False, what=f"{why.what}: it is left as it is", statement=None)


def _to_follow(
    settings: Settings, session: Session, asked: WantedModel, scope: Collection[TableName]
) -> list[Todo]:
    """The tables outside of the scope without which there is no `finish`."""
    if asked.model_id is None:
        return []
    behind = [
        table
        for table in migrate_scope.behind(settings, session, [asked.model_id])
        if table not in scope
    ]
    if not behind:
        return []
    what = (
        f"{still_to_follow(behind, asked.model_id)}, and nothing can be finished before: "
        "settings name one model"
    )
    start = (
        f"vectrue migrate start{asked.named}{table_flags(behind)} (and what that says comes next)"
    )
    return [Todo("finish", True, what, start, "you")]


def _entry(
    target: Target,
    plan: TablePlan,
    report: migrate_status.MigrationStatus | None,
    asked: WantedModel,
    *,
    offline: bool,
    alone: bool,
) -> TableCommands:
    """One table of the list; `alone`: there is no table that `start` would take as it
    is.
    """
    columns = report.columns if report else ()
    line = next((one for one in columns if one.migration.table == target.table), None)
    if line is None:
        return TableCommands(target.table, None, offline, target.model == asked.model_id, plan.todo)
    if line.migration.to_model == asked.model_id:
        return TableCommands(target.table, line, line.migration.offline, False, plan.todo)
    return TableCommands(target.table, None, offline, not alone, plan.todo)


def _under_way(
    found: Collection[ColumnMigration], report: migrate_status.MigrationStatus | None
) -> str | None:
    if report is None:
        return None
    said = "; ".join(f"{m.name} is on its way to {m.to_model} ({m.state})" for m in found)
    return f"{said}; {report.verdict}"


def vector_bytes(dimensions: int) -> int:
    """Bytes that one vector and its provenance take on disk."""
    size = 4 * dimensions + 8
    chunks = math.ceil(size / _TOAST_CHUNK) if size > 2000 else 0
    return size + chunks * _TOAST_OVERHEAD + _PROVENANCE_BYTES


class _Maker:
    def __init__(
        self, settings: Settings, session: Session, asked: WantedModel, *, offline: bool
    ) -> None:
        self._settings = settings
        self._session = session
        self._dimensions = asked.model.dimensions
        self._to_model = asked.model_id
        self._offline = offline
        self._present = describe_model(settings.model).model_id
        self._saved = openings(migration.read(session, finished=True))

    def table(self, target: Target, made: ColumnMigration | None, left: Todo | None) -> TablePlan:
        """One column's part; `left` is why it stays as it is."""
        info = catalog.inspect(self._session, target.table)
        if made is None:
            old = Vectors(target.column, target.dimensions, target.model)
            new = Vectors(growing(target.column), self._dimensions, self._to_model or "")
        else:
            old, new = twins.vectors(made)
        found = twins.read(self._session, info.oid, old.columns)
        wanted = twins.standing(self._session, made).wanted if made else twins.wanted(found)
        ratio = new.dimensions / old.dimensions
        sizes = outlook.sizes(self._session, info.oid)
        knows = dependents.of_column(self._session, info.oid, old.column)
        return TablePlan(
            str(target.table),
            target.column,
            str(made.state) if made else None,
            sizes.rows,
            old.model,
            old.dimensions,
            new.dimensions,
            sizes.bytes,
            None if sizes.rows is None else sizes.rows * vector_bytes(new.dimensions),
            outlook.free_bytes(self._session, sizes.spaces),
            sizes.leaves if info.kind == "p" else 0,
            tuple(index.label for index in wanted),
            tuple(_part(index) for index in found if index.valid and not index.framed),
            round(sum(index.bytes for index in found if index.valid) * ratio),
            tuple(index.label for index in found if index.is_invalid),
            tuple(one.said for one in knows),
            self._seconds(target, sizes.rows),
            tuple(self._todo(target, made, info, wanted, old, new, left)),
        )

    def _todo(
        self,
        target: Target,
        made: ColumnMigration | None,
        info: catalog.TableInfo,
        wanted: Sequence[Index],
        old: Vectors,
        new: Vectors,
        left: Todo | None,
    ) -> list[Todo]:
        if left is not None and made is None:
            return [left]
        offline = made.offline if made else self._offline
        todo = [
            *([left] if left else self._other_model(target, made)),
            *migrate_todo.constraints(wanted),
        ]
        todo += migrate_todo.too_long(wanted, old, new)
        if not offline:
            todo += migrate_todo.names(target, list(info.columns), made)
        todo += migrate_todo.ownership(
            self._session, info.oid, target, self._settings.postgres.admin
        )
        return [
            *todo,
            *migrate_todo.readers(self._session, info.oid, target, made, offline=offline),
        ]

    def why_left(self, target: Target, made: ColumnMigration | None) -> Todo | None:
        """Why `start` would leave a table as it is; None where it would not, or has
        been there.
        """
        if made is not None and made.to_model != self._to_model:
            other = self._to_model or "this one"
            what = f"a migration of {target.name} to {made.to_model} is under way, not to {other}"
            command = (
                f"vectrue migrate status{table_flags([target.table])} (then finish, or rollback)"
            )
            return Todo("start", True, what, command, "you")
        if made is None and target.model == self._to_model:
            what = f"{target.name} wants {target.model} already: there is nothing to migrate"
            return Todo("start", True, what, None, "you")
        return None

    def _other_model(self, target: Target, made: ColumnMigration | None) -> list[Todo]:
        """That the settings name another model than the one to move from."""
        if made is not None or self._present in (None, target.model) or target.model in self._saved:
            return []
        what = f"{target.name} holds vectors of {target.model}, but [model] names {self._present}"
        return [
            Todo(
                "start",
                True,
                f"{what}: set [model] back to the model that is there now",
                None,
                "you",
            )
        ]

    def _seconds(self, target: Target, rows: int | None) -> float | None:
        measured = RunLedger(self._session).measured_rate(target)
        return rows / measured[1] if measured and rows else None


def _part(index: Index) -> dict[str, Any]:
    return {
        "name": index.name,
        "table": str(index.table),
        "bytes": index.bytes,
        "method": index.definition.method,
        "definition": index.definition.text,
    }
