"""`embedsync status`: are the vectors true? Arguments and printing only."""

import typer
from rich.table import Table

from connectors.postgres import coverage
from connectors.postgres.session import Session
from schemas.coverage import verdict
from streams.cli.output import Format, OutputOption, number, out, print_json

COLUMNS = ("rows", "current", "missing", "stale_text", "stale_model", "blank", "quarantined")


def status(ctx: typer.Context, output: OutputOption = Format.TABLE) -> None:
    """Count, for every table, the rows whose vector is true and those whose vector is not.

    current: hash and model match; missing: text but no vector; stale_text, stale_model: made from an older text or by
    another model; blank: no text, so no vector; quarantined: the model cannot take the text. Counts every row.
    """
    columns = coverage.read(Session(ctx.obj().postgres.dsn, role="status"))
    if output is Format.JSON:
        print_json({"tables": [column.to_json() for column in columns], "verdict": verdict(columns)})
        return
    table = Table("TABLE", "COLUMN", "MODEL", *(name.upper().replace("_", "-") for name in COLUMNS), box=None)
    for column in columns:
        table.add_row(column.table, column.column, column.model, *(number(getattr(column, name)) for name in COLUMNS))
    out.print(table)
    style = "green" if columns and all(column.is_true for column in columns) else "yellow"
    out.print(f"[{style}]{verdict(columns)}[/]", soft_wrap=True)
