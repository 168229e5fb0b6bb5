"""`embedsync model pull` and `embedsync model info`: the weights that make the vectors.

Hazard: `pull` is the only command that downloads weights (2.3 GB for bge-m3); a worker never does.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Annotated

import typer
from rich.table import Table

from connectors.models import describe_model, fetch_model
from connectors.postgres import schema
from connectors.postgres.session import Session
from schemas.model import ModelRecord
from schemas.settings import Settings
from streams.cli.output import Format, OutputOption, out, print_json

app = typer.Typer(help="The model that makes the vectors.", no_args_is_help=True)


@app.command()
def pull(ctx: typer.Context) -> None:
    """Fetch the model into the local cache, if it is not there; prints its folder."""
    settings = _settings(ctx).model
    location, fetched = fetch_model(settings)
    if location is None:
        typer.echo(f"nothing to fetch: {settings.name} has no weights", err=True)
        return
    typer.echo(f"{settings.name} was fetched" if fetched else f"nothing to fetch: {settings.name} is here", err=True)
    typer.echo(str(location))


@app.command()
def info(
    ctx: typer.Context,
    known: Annotated[
        bool, typer.Option("--known", help="also list the models that the database knows; asks Postgres")
    ] = False,
    output: OutputOption = Format.TABLE,
) -> None:
    """Show the model: its id, dimensions, token limit, and where its weights are.

    With --known also every model that was ever wanted in this database, by the id that stands beside each vector, and
    the vector columns that want it now.
    """
    settings = _settings(ctx)
    described = asdict(describe_model(settings.model))
    del described["record"]  # what the database keeps says --known
    models = schema.known_models(Session(settings.postgres.dsn, role="model")) if known else []
    if output is Format.JSON:
        listed = [{**record.to_json(), "wanted_in": wanted_in} for record, wanted_in in models]
        print_json({**described, **({"known": listed} if known else {})})
        return
    for name, value in described.items():
        typer.echo(f"{name.replace('_', ' '):<12}{_shown(value)}")
    if known:
        _print_known(models)


def _print_known(models: Sequence[tuple[ModelRecord, list[str]]]) -> None:
    table = Table("MODEL", "REVISION", "DIMENSIONS", "POOLING", "MAX-TOKENS", "WANTED-IN", box=None)
    for record, wanted_in in models:
        figures = (record.revision, record.dimensions, record.pooling, record.max_tokens)
        table.add_row(record.model, *map(_shown, figures), ", ".join(wanted_in) or "-")
    out.print()
    out.print(table)


def _settings(ctx: typer.Context) -> Settings:
    settings: Callable[[], Settings] = ctx.obj
    return settings()


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "-" if value is None else str(value)
