"""The commands that `migrate plan` prints: each table by its own state.

The manual steps stand between them.
A line that begins with `#` is not a command: it says who does it, and the SQL or the
sentence. Typed from the top as printed, the list takes every table to the end. What an
application loses by a DROP is kept before it, and recreated after it.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from schemas.reports.migration import MigrationState, table_flags
from schemas.rows.table import TableName
from streams.migration.column_status import ColumnStatus
from streams.migration.planning.todo import Todo

STEPS = ("start", "replay", "index", "swap", "finish")


@dataclass(frozen=True, slots=True)
class TableCommands:
    """One table of the list.

    Attributes:
        table: which.
        line: how far it is, where it is being moved to this model.
        offline: whether its column itself is emptied.
        is_left: whether it stays as it is: there is nothing to do, or another migration
            is under way.
        todo: what is done by hand.
    """

    table: TableName
    line: ColumnStatus | None
    offline: bool
    is_left: bool
    todo: tuple[Todo, ...]

    @property
    def steps(self) -> tuple[str, ...]:
        """The steps that are left, by the same rule as `migrate status`."""
        if self.is_left:
            return ()
        if self.is_swapped and not self._is_at_start:
            return ("finish",)
        done = self._done()
        # The new vectors are served from the start on.
        if self.offline:
            done.add("swap")
        steps: list[str] = []
        for step in STEPS:
            if step not in done:
                steps.append(step)
        return tuple(steps)

    @property
    def is_swapped(self) -> bool:
        """Whether the new vectors are served."""
        return self.line is not None and self.line.migration.state is MigrationState.SWAPPED

    @property
    def _is_at_start(self) -> bool:
        """Whether no step was taken yet, or its rows are not counted."""
        return self.line is None or (self.line.staying is None and self.line.problem is None)

    def _done(self) -> set[str]:
        if self.line is None or self._is_at_start:
            return set()
        done = {"start"}
        if self.line.problem is not None:
            return done
        if not self.line.staying:
            done.add("replay")
        indexes = self.line.indexes
        # What serves a constraint is not carried over, so it is never built.
        if indexes and all(index.constraint for index in indexes.lacking):
            done.add("index")
        return done


def lines(
    entries: Sequence[TableCommands],
    every: Sequence[Todo],
    *,
    named: str,
    flags: str,
    naming: str | None,
) -> list[str]:
    """Return the whole list.

    Args:
        entries: the tables of the scope.
        every: what is done by hand for all of them.
        named: ` --model ... --dimensions ...`, as `start` takes it.
        flags: the scope as it was typed: nothing, or ` -t public.questions`.
        naming: what to change in the settings before `finish`; None for nothing.
    """
    found: list[str] = []
    for step in STEPS:
        group = [entry for entry in entries if step in entry.steps]
        if not group:
            continue
        scope = flags if len(group) == len(entries) else _flags(group)
        # Tables may share what is done by hand.
        found += dict.fromkeys(_before(step, group, every, naming))
        found += _commands(step, group, named, scope)
        # Only an offline start drops what depends on the column.
        if step == "start":
            found += _recreated(filter(_is_emptied, group), step)
    return found


def _is_emptied(entry: TableCommands) -> bool:
    return entry.offline


def _before(
    step: str, group: Sequence[TableCommands], every: Sequence[Todo], naming: str | None
) -> Iterator[str]:
    """Yield the manual steps before a command."""
    for entry in group:
        # A fault is repaired before the first step that is left.
        if entry.line is None or entry.steps[0] != step:
            continue
        fault = entry.line.problem or entry.line.run
        if fault:
            yield f"# you: {fault.typed(table_flags([entry.table]))}"
    if step == "finish" and naming is not None:
        yield f"# you: {naming}"
    for entry in group:
        yield from _kept_before(step, entry)
    todo = list(every)
    for entry in group:
        todo += entry.todo
    for one in todo:
        if one.step == step:
            yield f"# {one.who}: {one.typed}"
    if step == "finish":
        yield from _recreated(group, step)


def _kept_before(step: str, entry: TableCommands) -> Iterator[str]:
    """Yield the queries whose output must be kept before something is dropped."""
    first = "swap"
    # An offline start changes the type of the column, which a dependent would prevent.
    if entry.offline:
        first = "start"
    elif entry.is_swapped:
        first = "finish"
    if step != first:
        return
    for one in entry.todo:
        if one.keep:
            yield (
                f"# {one.who}: keep what this prints, which the DROP below takes along: {one.keep};"
            )


def _recreated(group: Iterable[TableCommands], step: str) -> Iterator[str]:
    """Yield what to recreate after a DROP."""
    found: dict[Todo, None] = {}
    for entry in group:
        for one in entry.todo:
            if one.step == step and one.recreate:
                found[one] = None
    # In the reverse order: what another object reads comes first.
    for one in reversed(found):
        yield f"# {one.who}: recreate {one.recreate}"


def _commands(step: str, group: Sequence[TableCommands], named: str, scope: str) -> Iterator[str]:
    if step == "replay":
        yield f"vectrue replay run{scope}"
    elif step != "start":
        yield f"vectrue migrate {step}{scope}"
    else:
        # `--offline` is for all tables of a command, so there may be two.
        for offline in (False, True):
            alike: list[TableCommands] = []
            for entry in group:
                if entry.offline is offline:
                    alike.append(entry)
            if alike:
                flags = scope if len(alike) == len(group) else _flags(alike)
                option = " --offline" if offline else ""
                yield f"vectrue migrate start{named}{option}{flags}"


def _flags(entries: Sequence[TableCommands]) -> str:
    tables = [entry.table for entry in entries]
    return table_flags(tables)
