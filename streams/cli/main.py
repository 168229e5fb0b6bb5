"""The command line `embedsync`: options that all commands share, and how errors end.

An EmbedsyncError becomes one sentence on stderr and its exit code; a traceback is shown only with --debug.
"""

import os
import sys
import traceback
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer
import typer.exceptions

from schemas import settings as settings_module
from schemas.errors import EmbedsyncError
from schemas.settings import Settings
from streams import logs
from streams.cli import (
    adopt,
    compare,
    config,
    demo,
    dlq,
    doctor,
    init,
    lag,
    local,
    migrate,
    model,
    quality,
    replay,
    score,
    search,
    serve,
    status,
    verify,
    worker,
)
from streams.cli.output import err

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode="markdown",
    help="""Keeps the vectors in Postgres true to the rows they describe.

    Every change of a row's text becomes a new embedding within moments, through Debezium, Kafka and Faust.

    First steps: `embedsync demo` shows it on a stack of its own. For your own tables write embedsync.toml; then
    `embedsync init` checks and sets up, `embedsync worker` does the work, and `embedsync replay run` fills the rows
    that were there before.
    """,
)
_debug = False


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"embedsync {version('embedsync')}")
        raise typer.Exit


@app.callback()
def options(
    ctx: typer.Context,
    config: Annotated[
        Path | None, typer.Option(help="settings file; embedsync.toml of the working directory when left out")
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="show the traceback of an error")] = False,
    _: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="show the version and end")
    ] = False,
) -> None:
    """Options of every command."""
    global _debug  # noqa: PLW0603 - the error handler below runs outside of any context
    _debug = debug

    @cache
    def load() -> Settings:
        settings = settings_module.load(config)
        logs.configure(settings.log)
        return settings

    ctx.obj = load


app.command()(demo.demo)
app.add_typer(local.app, name="local")
app.command()(init.init)
app.command()(doctor.doctor)
app.command()(worker.worker)
app.command()(status.status)
app.command(cls=lag.LagCommand)(lag.lag)
app.add_typer(replay.app, name="replay")
app.add_typer(migrate.app, name="migrate")
app.command()(verify.verify)
app.command()(adopt.adopt)
app.add_typer(dlq.app, name="dlq")
app.command()(search.search)
app.command()(compare.compare)
app.command()(serve.serve)
app.add_typer(quality.app, name="quality")
app.add_typer(score.app, name="score")
app.add_typer(model.app, name="model")
app.add_typer(config.app, name="config")


def run() -> None:
    """Entry point: run the command line and exit with its code."""
    try:
        code = app(standalone_mode=False)
    except EmbedsyncError as error:
        _tell(str(error))
        code = error.exit_code
    except (typer.Abort, KeyboardInterrupt):
        err.print("interrupted")
        code = 130  # 128 + SIGINT
    except typer.exceptions.TyperException as error:
        usage: Any = error  # typer's public base class does not declare what its usage errors carry
        usage.show()
        code = usage.exit_code
    except BrokenPipeError:
        # The reader of stdout went away (`| head`); without this Python complains once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    sys.exit(code if isinstance(code, int) else 0)


def _tell(message: str) -> None:
    if _debug:
        traceback.print_exc()
    err.print("[red]error:[/] ", end="")
    err.print(message, markup=False, soft_wrap=True)


if __name__ == "__main__":
    run()
