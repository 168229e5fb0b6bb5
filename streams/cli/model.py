"""`embedsync model pull` and `embedsync model info`: the weights that make the vectors.

Hazard: `pull` is the only command that downloads weights (2.3 GB for bge-m3); a worker never does.
"""

import json
from collections.abc import Callable
from dataclasses import asdict
from enum import StrEnum
from typing import Annotated

import typer

from connectors.models import describe_model, fetch_model
from schemas.settings import Settings

app = typer.Typer(help="The model that makes the vectors.", no_args_is_help=True)


class Format(StrEnum):
    """How a report is printed."""

    TABLE = "table"
    JSON = "json"


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
    output: Annotated[Format, typer.Option("--output", "-o", help="table or json")] = Format.TABLE,
) -> None:
    """Show the model: its id, dimensions, token limit, and where its weights are."""
    facts = describe_model(_settings(ctx).model)
    if output is Format.JSON:
        typer.echo(json.dumps(asdict(facts), default=str, indent=2))
        return
    for name, value in asdict(facts).items():
        typer.echo(f"{name.replace('_', ' '):<12}{_shown(value)}")


def _settings(ctx: typer.Context) -> Settings:
    settings: Callable[[], Settings] = ctx.obj
    return settings()


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "-" if value is None else str(value)
