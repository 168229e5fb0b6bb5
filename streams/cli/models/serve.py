"""`vectrue serve`: arguments only; the work is in streams/api/serve.py."""

from typing import Annotated

import typer
from pydantic import ValidationError

from schemas import extras
from schemas.errors import ConfigurationError
from schemas.settings.reading import Settings, explained
from schemas.settings.sections import ServeSettings


def serve(
    ctx: typer.Context,
    host: Annotated[
        str | None, typer.Option(help="address; beyond loopback serve.token must be set")
    ] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="port")] = None,
) -> None:
    """Answer search, scores and embeddings over HTTP, until SIGTERM or Ctrl-C.

    POST /v1/search, /v1/score, /v1/embeddings, GET /v1/models (in OpenAI's form),
    /livez, /readyz, /metrics; /docs describes them. Requests that arrive together share
    a pass through the model.

    For example:

        vectrue serve
        VECTRUE_SERVE__TOKEN=$(openssl rand -hex 32) vectrue serve --host 0.0.0.0
    """
    # FastAPI takes half a second to import, and no other command needs it.
    with extras.needed("`vectrue serve`"):
        from streams.api import serve as server

    settings = ctx.obj()
    chosen = _chosen(settings, host, port)
    raise typer.Exit(server.run(settings.model_copy(update={"serve": chosen})))


def _chosen(settings: Settings, host: str | None, port: int | None) -> ServeSettings:
    values = settings.serve.model_dump()
    if host is not None:
        values["host"] = host
    if port is not None:
        values["port"] = port
    try:
        # Validated again: a host beyond loopback or a wrong port is a setting like any other.
        return ServeSettings.model_validate(values)
    except ValidationError as error:
        raise ConfigurationError(explained(error), fix="correct --host or --port") from error
