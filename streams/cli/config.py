"""`vectrue config show`: the settings in force, with masked secrets."""

from collections.abc import Iterator, Mapping
from typing import Any

import typer

from streams.cli.screen.output import Format, OutputOption, out, print_json
from streams.cli.screen.tables import Grid

app = typer.Typer(no_args_is_help=True, help="The settings in force.")


@app.callback()
def group() -> None:
    """The settings in force."""


@app.command()
def show(ctx: typer.Context, output: OutputOption = Format.TABLE) -> None:
    """Print every setting with its value; passwords are shown as ***.

    A setting is set by its VECTRUE_ variable or in vectrue.toml; the variable wins.
    """
    masked = ctx.obj().masked()
    if output is Format.JSON:
        print_json(masked)
        return
    table = Grid("SETTING", "VALUE", "VARIABLE", last=("VARIABLE",), wide=output is Format.WIDE)
    for row in _rows(masked):
        table.add_row(*row)
    out.print(table)


def _rows(masked: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    for section, values in masked.items():
        # The only section that is a list.
        if section == "tables":
            for entry in values:
                text = f"{entry['column']} = {entry['text']}"
                yield f"tables {entry['name']}", text, "VECTRUE_TABLES"
            continue
        for name, value in values.items():
            shown = "" if value is None else str(value)
            yield f"{section}.{name}", shown, f"VECTRUE_{section.upper()}__{name.upper()}"
