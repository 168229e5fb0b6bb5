"""The pages of `vectrue migrate plan` and `vectrue migrate status`."""

from collections.abc import Iterator, Sequence

from schemas.reports.migration import ColumnMigration, MigrationState
from streams.cli.formatting import UNKNOWN, duration, number, size
from streams.cli.screen.output import err, out, print_lines, styled
from streams.cli.screen.tables import Grid
from streams.migration.column_status import ColumnStatus, MigrationStatus
from streams.migration.planning.plan_report import MigrationPlan, TablePlan
from streams.migration.planning.todo import Todo

_PLAN = (
    "TABLE",
    "COLUMN",
    "ROWS",
    "LENGTH",
    "SIZE",
    "MORE",
    "FREE",
    "INDEXES",
    "INDEX-SIZE",
    "REPLAY",
)
_STATUS = ("TABLE", "COLUMN", "BESIDE", "STATE", "FROM", "TO", "ROWS", "LACKING", "INDEXES")


def show(plan: MigrationPlan, locks: Sequence[tuple[str, str, str]]) -> None:
    """Print a plan on stdout.

    Args:
        plan: what was found.
        locks: for each step the lock that it takes, and how long it is held.
    """
    out.print(_figures(plan))
    for table in plan.tables:
        _show_indexes(table)
    if any(table.free_bytes is None for table in plan.tables):
        out.print("FREE is - where the disk of Postgres cannot be read from here: check it there")
    out.print()
    steps = Grid("STEP", "LOCK", "HELD FOR")
    for lock in locks:
        steps.add_row(*lock)
    out.print(steps)
    out.print()
    if plan.under_way:
        out.print(styled("under way:", "yellow"), plan.under_way)
    _show_todo(plan)
    out.print("programs that query the column themselves: docs/migration.md")
    if plan.commands:
        model = plan.to_model or "a model whose files are not here"
        out.print()
        out.print(f"to {model}; type, in this order:")
    for command in plan.commands:
        out.print(f"  {command}")


def _figures(plan: MigrationPlan) -> Grid:
    table = Grid(*_PLAN, keep=_PLAN)
    for line in plan.tables:
        parts = f" ({line.partitions} partitions)" if line.partitions else ""
        table.add_row(
            f"{line.table}{parts}",
            line.column,
            number(line.rows),
            f"{line.from_dimensions} -> {line.to_dimensions}",
            size(line.table_bytes),
            size(line.more_bytes),
            size(line.free_bytes),
            str(len(line.indexes)),
            size(line.index_bytes),
            duration(line.seconds),
        )
    return table


def _show_indexes(table: TablePlan) -> None:
    for index in table.index_parts:
        out.print(f"index {index['name']} on {index['table']}: {size(index['bytes'])}")
    for name in table.invalid:
        out.print(f"index {name} is INVALID: nothing uses it, and it is not built again")


def _show_todo(plan: MigrationPlan) -> None:
    # A dict keeps the order; what concerns several tables is printed once.
    todo: dict[Todo, None] = dict.fromkeys(plan.todo)
    for table in plan.tables:
        todo.update(dict.fromkeys(table.todo))
    for one in todo:
        if one.blocks:
            kind = styled(f"blocks {one.step}:", "red")
        else:
            kind = styled(f"by hand, {one.step}:", "yellow")
        out.print(kind, one.what)
        if one.statement:
            out.print(f"    {one.who}: {one.typed}")


def show_status(report: MigrationStatus, *, wide: bool) -> None:
    """Print the columns that are under way, their incomplete indexes and what comes next.

    Args:
        report: what was found.
        wide: whether to show all columns on a narrow screen.
    """
    table = Grid(*_STATUS, last=("FROM", "BESIDE", "TO"), wide=wide)
    for line in report.columns:
        made = line.migration
        table.add_row(
            str(made.table),
            made.column,
            made.beside or UNKNOWN,
            _state(made),
            made.from_model,
            made.to_model,
            number(line.rows),
            number(line.lacking),
            _built(line),
        )
    if report.columns:
        out.print(table)
    for line in report.columns:
        for sentence in _of_indexes(line):
            err.print(sentence)
    print_lines(report.verdict)


def _state(made: ColumnMigration) -> str:
    state = str(made.state)
    if made.offline:
        state += ", offline"
    if made.frozen:
        state += ", old frozen"
    return state


def _built(line: ColumnStatus) -> str:
    if not line.indexes:
        return UNKNOWN
    return f"{line.indexes.built}/{len(line.indexes.wanted)}"


def _of_indexes(line: ColumnStatus) -> Iterator[str]:
    if line.indexes is None:
        return
    made = line.migration
    end = ", and goes with them at finish" if made.state is MigrationState.SWAPPED else ""
    for one in line.indexes.lacking:
        if made.offline:
            yield f"index {one.label} of {made.name} must be built again"
        else:
            yield (
                f"index {one.label} of the old vectors of {made.name} has no twin on the "
                f"new ones{end}"
            )
    for one in line.indexes.invalid:
        state = "is being built" if one.building else "is INVALID, and counts for nothing"
        yield f"index {one.label} of {made.name} {state}"
