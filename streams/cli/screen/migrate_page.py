"""`vectrue migrate plan` and `migrate status` on a screen."""

from collections.abc import Iterator

from schemas.reports.migration import MigrationState
from streams.cli.screen.output import err, number, out, print_lines, seconds, styled
from streams.cli.screen.tables import Grid
from streams.migration.column_status import ColumnStatus, MigrationStatus
from streams.migration.planning import plan_report as migrate_plan
from streams.migration.planning.todo import Todo


def show(plan: migrate_plan.MigrationPlan, locks: tuple[tuple[str, str, str], ...]) -> None:
    """Figures, indexes, locks, what stands in the way and what to do by hand, and what
    to type in which order.
    """
    out.print(_figures(plan))
    for table in plan.tables:
        for index in table.index_parts:
            out.print(
                f"index {index['name']} on {index['table']}: {megabytes(index['bytes'])}",
                soft_wrap=True,
            )
        for name in table.invalid:
            out.print(
                f"index {name} is INVALID: nothing uses it, and it is not built again",
                soft_wrap=True,
            )
    if any(table.free_bytes is None for table in plan.tables):
        out.print(
            "FREE is - where the disk of Postgres cannot be seen from here: look there yourself",
            soft_wrap=True,
        )
    steps = Grid("STEP", "LOCK", "HELD FOR")
    for lock in locks:
        steps.add_row(*lock)
    out.print()
    out.print(steps)
    out.print()
    if plan.under_way:
        out.print(styled("under way:", "yellow"), plan.under_way, soft_wrap=True)
    _todo([*plan.todo, *(one for table in plan.tables for one in table.todo)])
    out.print("programs that query the column themselves: docs/migration.md", soft_wrap=True)
    if plan.commands:
        out.print()
        out.print(
            f"to {plan.to_model or 'a model whose files are not here'}; type, in this order:",
            soft_wrap=True,
        )
    for command in plan.commands:
        out.print(f"  {command}", soft_wrap=True)


def megabytes(size: int | None) -> str:
    """A size for people; `-` when unknown."""
    return "-" if size is None else f"{size / 1e6:,.1f} MB"


def _figures(plan: migrate_plan.MigrationPlan) -> Grid:
    heads = (
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
    table = Grid(*heads, keep=heads)
    for line in plan.tables:
        parts = f" ({line.partitions} partitions)" if line.partitions else ""
        table.add_row(
            f"{line.table}{parts}",
            line.column,
            number(line.rows),
            f"{line.from_dimensions} -> {line.to_dimensions}",
            megabytes(line.table_bytes),
            megabytes(line.more_bytes),
            megabytes(line.free_bytes),
            str(len(line.indexes)),
            megabytes(line.index_bytes),
            seconds(line.seconds),
        )
    return table


def _todo(todo: list[Todo]) -> None:
    for one in dict.fromkeys(todo):
        kind = (
            styled(f"blocks {one.step}:", "red")
            if one.blocks
            else styled(f"by hand, {one.step}:", "yellow")
        )
        out.print(kind, one.what, soft_wrap=True)
        if one.statement:
            out.print(f"    {one.who}: {one.typed}", soft_wrap=True)


def show_status(report: MigrationStatus, *, wide: bool) -> None:
    """A row for each column, then its indexes that are amiss, and the sentences with
    what comes next.
    """
    heads = ("TABLE", "COLUMN", "BESIDE", "STATE", "FROM", "TO", "ROWS", "LACKING", "INDEXES")
    grid = Grid(*heads, last=("FROM", "BESIDE", "TO"), wide=wide)
    for line in report.columns:
        m = line.migration
        state = f"{m.state}{', offline' if m.offline else ''}{', old frozen' if m.frozen else ''}"
        built = f"{line.indexes.built}/{len(line.indexes.wanted)}" if line.indexes else "-"
        grid.add_row(
            str(m.table),
            m.column,
            m.beside or "-",
            state,
            m.from_model,
            m.to_model,
            number(line.rows),
            number(line.lacking),
            built,
        )
    if report.columns:
        out.print(grid)
    for line in report.columns:
        for sentence in _of_indexes(line):
            err.print(sentence, soft_wrap=True)
    print_lines(report.verdict)


def _of_indexes(line: ColumnStatus) -> Iterator[str]:
    if line.indexes is None:
        return
    end = ", and goes with them at finish" if line.migration.state is MigrationState.SWAPPED else ""
    for one in line.indexes.lacking:
        if line.migration.offline:
            yield f"index {one.label} of {line.migration.name} is to be built again"
        else:
            yield f"index {one.label} of the old vectors of {line.migration.name} has no twin on the new ones{end}"
    for one in line.indexes.invalid:
        state = "is being built" if one.building else "is INVALID, and counts for nothing"
        yield f"index {one.label} of {line.migration.name} {state}"
