"""The command that comes next for a column under way, and how the commands of several
columns are put together.
"""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace

from schemas.reports.migration import ColumnMigration, MigrationState, table_flags
from schemas.rows.table import TableName


@dataclass(frozen=True, slots=True)
class Next:
    """A command to type.

    Attributes:
        command: without the tables it is for.
        argument: what stands behind it.
        takes_tables: whether it takes -t.
        before: what is done by hand before it, as the beginning of a sentence.
        remark: what else may be done, or why it waits.
        why: what is amiss, where it is a way out of something.
    """

    command: str
    argument: str = ""
    takes_tables: bool = True
    before: str = ""
    remark: str = ""
    why: str = ""

    def typed(self, flags: str = "") -> str:
        """As it is typed, with these tables, and with its remarks."""
        told = " ".join(part for part in (self.before, self.command, self.argument) if part)
        return f"{told}{flags if self.takes_tables else ''}" + (
            f" ({self.remark})" if self.remark else ""
        )


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """A migration that is under way in the database, of no table of the settings.

    Attributes:
        migration: which.
        installation: whose table it is, as far as the database tells.
        gone: whether there is no table of that name any more.
    """

    migration: ColumnMigration
    installation: str | None
    gone: bool

    @property
    def sentence(self) -> str:
        """What it is, and what to do about it."""
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


def following(
    made: ColumnMigration,
    *,
    staying: int | None,
    unbuilt: int,
    named: bool = True,
    behind: Sequence[TableName] = (),
    is_read: bool = False,
) -> Next:
    """What comes next for a column that is as its migration left it.

    Args:
        made: its migration.
        staying: rows that lack their new vector and stay so; None where they are not
            counted.
        unbuilt: indexes that are not built on the new column yet.
        named: whether the settings name the new model, as `finish` wants.
        behind: tables that are yet to follow, without which there is no `finish`.
        is_read: whether something goes on reading the old vectors after the swap.
    """
    if behind and (
        made.state is MigrationState.SWAPPED or (made.offline and staying == 0 and not unbuilt)
    ):
        return leading(made, behind)
    naming = [] if named else [naming_of(made)]
    before = [*naming, *(["make anew what reads the old vectors"] if is_read else [])]
    first = f"first {' and '.join(before)}" if before else ""
    if made.state is MigrationState.SWAPPED:
        return Next(
            "vectrue migrate finish", remark="; ".join(filter(None, [first, "or rollback"]))
        )
    if staying is None:
        return starting(made)
    if staying:
        return Next("vectrue replay run")
    if unbuilt:
        return Next("vectrue migrate index")
    return (
        Next("vectrue migrate finish", remark=first)
        if made.offline
        else Next("vectrue migrate swap")
    )


def leading(made: ColumnMigration, behind: Sequence[TableName]) -> Next:
    """The start of the tables that are yet to follow: settings name one model, so all
    are finished together.
    """
    start = starting(replace(made, offline=False)).command
    return Next(
        start,
        table_flags(behind).strip(),
        takes_tables=False,
        remark="then all are finished together",
    )


def still_to_follow(tables: Sequence[TableName], model: str) -> str:
    """That these tables are to go to a model that others are on their way to."""
    return (
        f"{', '.join(map(str, tables))} {'is' if len(tables) == 1 else 'are'} still to follow "
        f"to {model}"
    )


def naming_of(made: ColumnMigration) -> str:
    """What the settings have to say before `finish`."""
    name = made.to_settings.get("name", made.to_model)
    return f'set model.name = "{name}" and model.dimensions = {made.to_dimensions} in vectrue.toml'


def starting(made: ColumnMigration) -> Next:
    """The command that started a migration, to be called again."""
    opening = made.to_settings
    parts = ["vectrue migrate start --model", shlex.quote(str(opening.get("name", made.to_model)))]
    parts += ["--dimensions", str(made.to_dimensions)]
    if opening.get("revision"):
        parts += ["--revision", shlex.quote(str(opening["revision"]))]
    return Next(" ".join([*parts, *(["--offline"] if made.offline else [])]))


def following_all(found: Sequence[tuple[TableName, Next]], *, is_part: bool) -> list[str]:
    """The commands of several columns, each once, the most urgent first.

    Args:
        found: table and command of each column.
        is_part: whether they are a part of what is under way, so that a command without
            -t would do more.
    """
    groups: dict[Next, list[TableName]] = {}
    for table, step in found:
        groups.setdefault(step, []).append(table)
    names_tables = is_part or len(groups) > 1
    ordered = sorted(groups.items(), key=lambda group: _rank(group[0]))
    return [step.typed(table_flags(tables) if names_tables else "") for step, tables in ordered]


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
    return (
        not step.why,
        next((i for i, name in enumerate(_ORDER) if name in step.command), len(_ORDER)),
    )
