"""What `migrate plan` says to type: the commands of every table by its own state, the
hands' part between them.

A line that begins with `#` is no command: it says whose part it is, and the SQL or the
sentence. Typed from the top as printed, the list takes every table to the end. What an
application loses by a DROP is kept before it, and made anew.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from schemas.reports.migration import MigrationState, table_flags
from schemas.rows.table import TableName
from streams.migration.planning.todo import Todo
from streams.migration.status import ColumnStatus

STEPS = ("start", "replay", "index", "swap", "finish")


@dataclass(frozen=True, slots=True)
class TableCommands:
    """One table of the list.

    Attributes:
        table: which.
        line: how far it is, where it is under way to this model.
        offline: whether its column itself is emptied.
        is_left: whether it stays as it is: there is nothing to do, or something else is
            under way.
        todo: what is to be done by hand.
    """

    table: TableName
    line: ColumnStatus | None
    offline: bool
    is_left: bool
    todo: tuple[Todo, ...]

    @property
    def steps(self) -> tuple[str, ...]:
        """What is left of the way, by the rule by which `status` says what comes next."""
        if self.is_left:
            return ()
        left = [step for step in STEPS if step != "swap" or not self.offline]
        if self.line is None or (self.line.staying is None and self.line.problem is None):
            return tuple(left)
        if self.line.migration.state is MigrationState.SWAPPED:
            return ("finish",)
        found = self.line.indexes
        done = {"start"}
        if self.line.problem is None:
            done |= {"replay"} if not self.line.staying else set()
            done |= {"index"} if found and all(one.constraint for one in found.lacking) else set()
        return tuple(step for step in left if step not in done)

    @property
    def is_swapped(self) -> bool:
        """Whether the new vectors are served."""
        return self.line is not None and self.line.migration.state is MigrationState.SWAPPED


def lines(
    entries: Sequence[TableCommands],
    every: Sequence[Todo],
    *,
    named: str,
    flags: str,
    naming: str | None,
) -> list[str]:
    """The whole list.

    Args:
        entries: the tables of the scope.
        every: what is to be done by hand for all of them.
        named: ` --model ... --dimensions ...`, as `start` takes it.
        flags: the scope as it was typed: nothing, or ` -t public.questions`.
        naming: what the settings have to say before `finish`; None where they say it.
    """
    found: list[str] = []
    for step in STEPS:
        group = [entry for entry in entries if step in entry.steps]
        if not group:
            continue
        scope = flags if len(group) == len(entries) else table_flags(entry.table for entry in group)
        found += dict.fromkeys(_before(step, group, every, naming))
        found += _commands(step, group, named, scope)
        if step == "start":
            found += _anew([entry for entry in group if entry.offline], step)
    return found


def _before(
    step: str, group: Sequence[TableCommands], every: Sequence[Todo], naming: str | None
) -> Iterator[str]:
    """The hands' part before a step."""
    for entry in group:
        if (
            entry.line is not None
            and entry.steps[0] == step
            and (amiss := entry.line.problem or entry.line.run)
        ):
            yield f"# you: {amiss.typed(table_flags([entry.table]))}"
    if step == "finish" and naming is not None:
        yield f"# you: {naming}"
    for entry in group:
        first = "start" if entry.offline else "finish" if entry.is_swapped else "swap"
        for one in entry.todo:
            if step == first and one.keep:
                yield f"# {one.who}: keep what this prints, which the DROP below takes along: {one.keep};"
    for one in (*every, *(one for entry in group for one in entry.todo)):
        if one.step == step:
            yield f"# {one.who}: {one.typed}"
    if step == "finish":
        yield from _anew(group, step)


def _anew(group: Sequence[TableCommands], step: str) -> Iterator[str]:
    """What was dropped is made again, the other way round: what another one reads comes
    first.
    """
    found = dict.fromkeys(
        one for entry in group for one in entry.todo if one.step == step and one.anew
    )
    for one in reversed(found):
        yield f"# {one.who}: CREATE anew {one.anew}"


def _commands(step: str, group: Sequence[TableCommands], named: str, scope: str) -> Iterator[str]:
    if step != "start":
        yield f"vectrue {'replay run' if step == 'replay' else f'migrate {step}'}{scope}"
        return
    for offline in (False, True):
        alike = [entry for entry in group if entry.offline is offline]
        if alike:
            flags = (
                scope if len(alike) == len(group) else table_flags(entry.table for entry in alike)
            )
            yield f"vectrue migrate start{named}{' --offline' if offline else ''}{flags}"
