"""What a migration will take, table by table and step by step, before anything is changed: the whole to-do.

Sources of the figures: a vector takes 4 * dimensions + 8 bytes (pgvector); a row of more than 2,000 bytes keeps its
vector out of line, in chunks of 1,996 bytes with 36 bytes each (PostgreSQL, TOAST). An index of the new length is
estimated from the old one, by the lengths' ratio. Where nothing was measured, nothing is said.
"""

import math
import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from connectors.models import by_name, describe_model, open_model
from connectors.ports import Clock
from connectors.postgres import catalog, dependents, migration, outlook, twins
from connectors.postgres.ledger import RunLedger
from connectors.postgres.session import Session
from connectors.postgres.twins import Index
from schemas.errors import ModelUnavailable
from schemas.index_definition import Vectors
from schemas.migration import ColumnMigration, State, growing, openings
from schemas.sections import ModelSettings
from schemas.settings import Settings
from schemas.target import Target
from streams import migrate_status, migrate_todo
from streams import targets as target_rules
from streams.migrate_todo import Todo

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
        rows: as the statistics have it, of all partitions; None where a part was never counted.
        from_model: what is left.
        from_dimensions: its length.
        to_dimensions: the new one.
        table_bytes: the table with its partitions and TOAST, now; None when it is not told.
        more_bytes: what the new vectors will add until `finish`; None when the rows are not known.
        free_bytes: room on the table's disk; None where it cannot be known from here.
        partitions: how many tables hold its rows, where that is not the table itself; else 0.
        indexes: the indexes that will be built again; those of single partitions by their name and table.
        index_parts: every index that has a size, partitions' too: name, table, bytes, definition.
        index_bytes: estimate of their size on the new column.
        invalid: indexes that nothing uses, and that are not built again.
        readers: what depends on the column, and goes on with the old vectors after the swap.
        seconds: of one replay worker, at the rate that the old model was measured with; None when it was not.
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
class Plan:
    """The whole.

    Attributes:
        to_model: id of the model to move to; None where its files are not here.
        tables: the columns.
        todo: what concerns all of them.
        commands: what to type, in this order; a line that begins with `#` is for the hands.
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
            "to_model": self.to_model, "under_way": self.under_way, "tables": [t.to_json() for t in self.tables],
            "todo": [todo.to_json() for todo in self.todo], "commands": list(self.commands),
            "refused": [todo.what for todo in self.refusals],
        }  # fmt: skip


LOCKS = (
    (
        "start",
        "ACCESS EXCLUSIVE on all tables at once",
        "milliseconds (nothing is rewritten), tried under lock_timeout",
    ),
    ("replay", "row locks, 64 rows at a time", "milliseconds each; a locked row is left for later"),
    ("index", "SHARE UPDATE EXCLUSIVE", "as long as the build takes; reads and writes go on"),
    ("swap", "ACCESS EXCLUSIVE on all tables at once", "milliseconds (names only), tried under lock_timeout"),
    ("finish", "ACCESS EXCLUSIVE on all tables at once", "milliseconds (nothing is rewritten)"),
)
OFFLINE_LOCKS = (
    ("start", "ACCESS EXCLUSIVE on all tables at once", "as long as the table takes to rewrite; nothing passes"),
    ("replay", "row locks, 64 rows at a time", "search finds nothing until it has filled the rows again"),
    ("index", "SHARE UPDATE EXCLUSIVE", "as long as the build takes; reads and writes go on"),
    ("finish", "none", "-"),
)


def make(
    settings: Settings, session: Session, model: ModelSettings, clock: Clock, *, offline: bool = False, flags: str = ""
) -> Plan:
    """Look at the served columns; nothing is written, and the workers' role may.

    Args:
        settings: with the tables that are meant.
        session: any connection that may read the catalogue.
        model: the model to move to; its weights are not needed.
        clock: for the pauses while rows are on their way.
        offline: whether the column itself will be emptied.
        flags: ` -t TABLE` for each table, where they are not all.

    Raises:
        ConfigurationError: a table is not as `init` left it.
    """
    todo: list[Todo] = []
    try:
        to_model: str | None = open_model(model).model_id
    except ModelUnavailable as error:
        to_model = None
        todo.append(Todo("start", True, f"{error.message}: {error.fix}", None, "you"))
    try:
        by_name.require(model)
    except ModelUnavailable as error:
        if to_model is not None:
            what = f"{error.message} of this machine; every worker needs them where it runs"
            todo.append(Todo("replay", False, what, f"embedsync model pull {shlex.quote(model.name)}", "you"))
    targets = target_rules.served(settings, session)
    under_way = {(m.table, m.column): m for m in migration.read(session)}
    maker = _Maker(settings, session, model, to_model, offline=offline)
    tables = tuple(maker.table(target, under_way.get((target.table, target.column))) for target in targets)
    found = [under_way[t.table, t.column] for t in targets if (t.table, t.column) in under_way]
    sentence = None
    if found:
        sentence = "; ".join(f"{m.name} is on its way to {m.to_model} ({m.state})" for m in found)
        sentence += f"; {migrate_status.read(settings, session, clock).verdict}"
    by_hand = [one for table in tables for one in table.todo if not one.blocks or one.step != "start"]
    offline = offline or any(m.offline for m in found)
    commands = _commands(model, flags, [*todo, *by_hand], found, offline=offline)
    return Plan(to_model, tables, tuple(todo), commands, sentence)


def vector_bytes(dimensions: int) -> int:
    """Bytes that one vector and its provenance take on disk."""
    size = 4 * dimensions + 8
    chunks = math.ceil(size / _TOAST_CHUNK) if size > 2000 else 0
    return size + chunks * _TOAST_OVERHEAD + _PROVENANCE_BYTES


class _Maker:
    def __init__(
        self, settings: Settings, session: Session, model: ModelSettings, to_model: str | None, *, offline: bool
    ) -> None:
        self._settings = settings
        self._session = session
        self._dimensions = model.dimensions or 0
        self._to_model = to_model
        self._offline = offline
        self._present = describe_model(settings.model).model_id
        self._saved = openings(migration.read(session, finished=True))

    def table(self, target: Target, made: ColumnMigration | None) -> TablePlan:
        """One column's part."""
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
            str(target.table), target.column, str(made.state) if made else None, sizes.rows, old.model, old.dimensions,
            new.dimensions, sizes.bytes, None if sizes.rows is None else sizes.rows * vector_bytes(new.dimensions),
            outlook.free_bytes(self._session, sizes.spaces), sizes.leaves if info.kind == "p" else 0,
            tuple(index.label for index in wanted),
            tuple(_part(index) for index in found if index.valid and not index.framed),
            round(sum(index.bytes for index in found if index.valid) * ratio),
            tuple(index.label for index in found if not index.valid), tuple(one.said for one in knows),
            self._seconds(target, sizes.rows), tuple(self._todo(target, made, info, wanted, old, new)),
        )  # fmt: skip

    def _todo(
        self,
        target: Target,
        made: ColumnMigration | None,
        info: catalog.TableInfo,
        wanted: Sequence[Index],
        old: Vectors,
        new: Vectors,
    ) -> list[Todo]:
        offline = made.offline if made else self._offline
        todo = [*self._models(target, made), *migrate_todo.constraints(wanted)]
        todo += migrate_todo.too_long(wanted, old, new)
        if not offline:
            todo += migrate_todo.names(target, list(info.columns), made)
        todo += migrate_todo.ownership(self._session, info.oid, target, self._settings.postgres.admin)
        return [*todo, *migrate_todo.readers(self._session, info.oid, target, made, offline=offline)]

    def _models(self, target: Target, made: ColumnMigration | None) -> list[Todo]:
        if made is not None:
            if made.to_model == self._to_model:
                return []
            what = (
                f"a migration of {target.name} to {made.to_model} is under way, not to {self._to_model or 'this one'}"
            )
            command = "embedsync migrate status (then finish, or rollback)"
            return [Todo("start", True, what, command, "you")]
        if target.model == self._to_model:
            what = f"{target.name} wants {target.model} already: there is nothing to migrate"
            return [Todo("start", True, what, None, "you")]
        if self._present not in (None, target.model) and target.model not in self._saved:
            what = f"{target.name} holds vectors of {target.model}, but [model] names {self._present}"
            return [Todo("start", True, f"{what}: set [model] back to the model that is there now", None, "you")]
        return []

    def _seconds(self, target: Target, rows: int | None) -> float | None:
        measured = RunLedger(self._session).measured_rate(target)
        return rows / measured[1] if measured and rows else None


def _part(index: Index) -> dict[str, Any]:
    return {
        "name": index.name, "table": str(index.table), "bytes": index.bytes, "method": index.definition.method,
        "definition": index.definition.text,
    }  # fmt: skip


def _commands(
    model: ModelSettings, flags: str, todo: Sequence[Todo], found: Sequence[ColumnMigration], *, offline: bool
) -> tuple[str, ...]:
    """The commands that are left, the hands' part as comments between them."""
    named = f"--model {shlex.quote(model.name)} --dimensions {model.dimensions}"
    named += f" --revision {shlex.quote(model.revision)}" if model.revision else ""
    states = {m.state for m in found}
    steps = ["start", "replay", "index", "swap", "finish"]
    if found and State.STARTED in states:
        steps = steps[1:]
    elif found:
        steps = steps[4:]
    lines = []
    for step in steps:
        if step == "swap" and offline:
            continue
        if step == "finish":
            lines.append("# set model.name and model.dimensions of the new model in embedsync.toml")
        lines += [f"# {one.who}: {one.statement or one.what}" for one in todo if one.step == step]
        command = {
            "start": f"embedsync migrate start {named}{' --offline' if offline else ''}{flags}",
            "replay": f"embedsync replay run{flags}",
        }.get(step, f"embedsync migrate {step}{flags}")
        lines.append(command)
    return tuple(lines)
