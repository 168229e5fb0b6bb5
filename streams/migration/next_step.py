"""The command that comes next for a column under way, and the commands of several."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from schemas.reports.migration import ColumnMigration, MigrationState, table_flags
from schemas.rows.table import TableName


@dataclass(frozen=True, slots=True)
class Next:
    """A command to type.

    Attributes:
        command: without the tables it is for.
        argument: what follows it.
        takes_tables: whether it takes -t.
        before: what is done by hand before it, as the beginning of a sentence.
        remark: what else may be done, or why it waits.
        why: the problem that it solves; empty when it is the usual next step.
    """

    command: str
    argument: str = ""
    takes_tables: bool = True
    before: str = ""
    remark: str = ""
    why: str = ""

    def typed(self, flags: str = "") -> str:
        """Return it as it is typed, with these tables, and with its remarks."""
        parts = (self.before, self.command, self.argument)
        typed = " ".join(filter(None, parts))
        if self.takes_tables:
            typed += flags
        return f"{typed} ({self.remark})" if self.remark else typed


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """A migration in the database whose table the settings do not list.

    Attributes:
        migration: which.
        installation: whose table it is, as far as the database knows.
        gone: whether a table of that name no longer exists.
    """

    migration: ColumnMigration
    installation: str | None
    gone: bool

    @property
    def sentence(self) -> str:
        """The migration, and what to do about it."""
        one = self.migration
        whose = f" of the installation {self.installation}" if self.installation else ""
        said = f"under way in the database, not in these settings: {one.name}{whose} ({one.state})"
        if self.gone:
            flags = table_flags([one.table])
            return (
                f"{said}; the table is gone: give it its name back, or vectrue migrate "
                f"rollback{flags}"
            )
        return f"{said}: put it into [[tables]], or use the settings file that lists it"

    def to_json(self) -> dict[str, Any]:
        """Return where it is, and whose, as plain data."""
        return {
            "table": str(self.migration.table),
            "column": self.migration.column,
            "state": str(self.migration.state),
            "installation": self.installation,
            "gone": self.gone,
        }


def following(
    made: ColumnMigration,
    *,
    staying: int | None,
    unbuilt: int,
    named: bool = True,
    behind: Sequence[TableName] = (),
    is_read: bool = False,
) -> Next:
    """Return what comes next for a column that is as its migration left it.

    Args:
        made: its migration.
        staying: rows that lack their new vector and are not being embedded; None when
            they are not counted.
        unbuilt: indexes that are not built on the new column yet.
        named: whether the settings name the new model, as `finish` requires.
        behind: tables that have to follow before `finish`.
        is_read: whether something keeps reading the old vectors after the swap.
    """
    swapped = made.state is MigrationState.SWAPPED
    is_filled = staying == 0 and not unbuilt
    # The settings name one model, so all tables are finished together.
    if behind and (swapped or (made.offline and is_filled)):
        return leading(made, behind)
    first = _first(made, named=named, is_read=is_read)
    if swapped:
        remark = f"{first}; or rollback" if first else "or rollback"
        return Next("vectrue migrate finish", remark=remark)
    if staying is None:
        return starting(made)
    # Rows before indexes: an index is built faster over a column that is filled.
    if not is_filled:
        return Next("vectrue replay run" if staying else "vectrue migrate index")
    if made.offline:
        return Next("vectrue migrate finish", remark=first)
    return Next("vectrue migrate swap")


def _first(made: ColumnMigration, *, named: bool, is_read: bool) -> str:
    """Return what is done by hand before `finish`; empty for nothing."""
    parts: list[str] = []
    if not named:
        parts.append(naming_of(made))
    if is_read:
        parts.append("recreate what reads the old vectors")
    return f"first {' and '.join(parts)}" if parts else ""


def leading(made: ColumnMigration, behind: Sequence[TableName]) -> Next:
    """Return the start of the tables that have to follow."""
    return Next(
        starting(replace(made, offline=False)).command,
        table_flags(behind).strip(),
        takes_tables=False,
        remark="then all are finished together",
    )


def still_to_follow(tables: Sequence[TableName], model: str) -> str:
    """Say that these tables have to move to a model that others are moving to."""
    verb = "is" if len(tables) == 1 else "are"
    return f"{', '.join(map(str, tables))} {verb} still to follow to {model}"


def naming_of(made: ColumnMigration) -> str:
    """Return how to change the settings before `finish`."""
    name = made.to_settings.get("name", made.to_model)
    return f'set model.name = "{name}" and model.dimensions = {made.to_dimensions} in vectrue.toml'


def starting(made: ColumnMigration) -> Next:
    """Return the command that started a migration, to be called again."""
    opening = made.to_settings
    name = shlex.quote(str(opening.get("name", made.to_model)))
    command = f"vectrue migrate start --model {name} --dimensions {made.to_dimensions}"
    if opening.get("revision"):
        command += f" --revision {shlex.quote(str(opening['revision']))}"
    if made.offline:
        command += " --offline"
    return Next(command)


def following_all(found: Sequence[tuple[TableName, Next]], *, is_part: bool) -> list[str]:
    """Return the commands of several columns, each once, the most urgent first.

    Args:
        found: table and command of each column.
        is_part: whether other columns are under way too, so that a command without -t
            would do more.
    """
    groups: dict[Next, list[TableName]] = {}
    for table, step in found:
        groups.setdefault(step, []).append(table)
    # A command without -t is for all tables that are under way.
    names_tables = is_part or len(groups) > 1
    typed: list[str] = []
    for step in sorted(groups, key=_rank):
        flags = table_flags(groups[step]) if names_tables else ""
        typed.append(step.typed(flags))
    return typed


_ORDER = (
    "migrate start",
    "replay status",
    "replay resume",
    "replay run",
    "migrate index",
    "migrate swap",
    "migrate finish",
)


def _rank(step: Next) -> tuple[bool, int]:
    position = len(_ORDER)
    for index, name in enumerate(_ORDER):
        if name in step.command:
            position = index
            break
    # What solves a problem first: False sorts before True.
    return not step.why, position
