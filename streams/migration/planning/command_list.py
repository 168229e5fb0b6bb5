"""The commands that `migrate plan` prints: each table by its own state, with the manual
steps between them.

A line that begins with `#` is not a command: it says who does it, and the SQL or the
sentence. Typed from the top as printed, the list takes every table to the end. What an
application loses by a DROP is kept before it, and recreated after it.
"""

from collections.abc import Iterator, Sequence
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
        if self.offline:
            done.add("swap")
        return tuple(step for step in STEPS if step not in done)

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
        naming: what to change in the settings before `finish`; None when they name the
            model already.
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
        if step == "start":
            emptied = [entry for entry in group if entry.offline]
            found += _recreated(emptied, step)
    return found


def _before(
    step: str, group: Sequence[TableCommands], every: Sequence[Todo], naming: str | None
) -> Iterator[str]:
    """Yield the manual steps before a command."""
    for entry in group:
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


def _recreated(group: Sequence[TableCommands], step: str) -> Iterator[str]:
    """Yield what to recreate after a DROP, in the reverse order: what another
    object reads comes first.
    """
    found: dict[Todo, None] = {}
    for entry in group:
        for one in entry.todo:
            if one.step == step and one.recreate:
                found[one] = None
    for one in reversed(found):
        yield f"# {one.who}: recreate {one.recreate}"


def _commands(step: str, group: Sequence[TableCommands], named: str, scope: str) -> Iterator[str]:
    if step == "replay":
        yield f"vectrue replay run{scope}"
    elif step != "start":
        yield f"vectrue migrate {step}{scope}"
    else:
        for offline in (False, True):
            alike = [entry for entry in group if entry.offline is offline]
            if alike:
                flags = scope if len(alike) == len(group) else _flags(alike)
                option = " --offline" if offline else ""
                yield f"vectrue migrate start{named}{option}{flags}"


def _flags(entries: Sequence[TableCommands]) -> str:
    return table_flags(entry.table for entry in entries)
