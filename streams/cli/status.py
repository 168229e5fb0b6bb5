"""`embedsync status`: are the vectors true? Arguments and printing only."""

import typer
from rich.table import Table

from connectors.postgres import coverage, quality
from connectors.postgres.session import Session
from schemas.coverage import verdict
from schemas.quality import Quality
from streams.cli.output import Format, OutputOption, number, out, print_json, seconds

COLUMNS = ("rows", "current", "missing", "stale_text", "stale_model", "blank", "quarantined")


def status(ctx: typer.Context, output: OutputOption = Format.TABLE) -> None:
    """Count, for every table, the rows whose vector is true and those whose vector is not.

    current: hash and model match; missing: text but no vector; stale_text, stale_model: made from an older text or by
    another model; blank: no text, so no vector; quarantined: the model cannot take the text. Counts every row.

    Below stand the last figures of judged queries, where some were ever asked: `embedsync quality`.
    """
    settings = ctx.obj()
    session = Session(settings.postgres.dsn, role="status")
    columns, known = coverage.read(session, settings), quality.last(session)
    judged = [known[name] for name in dict.fromkeys(column.table for column in columns) if name in known]
    if output is Format.JSON:
        tables = [column.to_json() for column in columns]
        figures = [one.to_json() for one in judged] or None
        print_json({"tables": tables, "quality": figures, "verdict": verdict(columns)})
        return
    table = Table("TABLE", "COLUMN", "MODEL", *(name.upper().replace("_", "-") for name in COLUMNS), box=None)
    for column in columns:
        table.add_row(column.table, column.column, column.model, *(number(getattr(column, name)) for name in COLUMNS))
    out.print(table)
    for one in judged:
        out.print(_sentence(one), soft_wrap=True, markup=False)
    style = "green" if columns and all(column.is_true for column in columns) else "yellow"
    out.print(f"[{style}]{verdict(columns)}[/]", soft_wrap=True)


def _sentence(known: Quality) -> str:
    run, before = known.last, known.before
    figures = ", ".join(f"{name} {value:.3f}" for name, value in run.measures.items())
    was = f"; {before.ndcg:.3f} with {before.model}" if before else ""
    return (
        f"judged queries of {run.table}: {figures}{was} ({run.queries:,} queries, p95 {1000 * run.p95_seconds:.0f} ms, "
        f"{seconds(known.age_seconds)} ago)"
    )
