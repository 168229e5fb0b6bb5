"""The command line `vectrue`: options that all commands share, and how errors end.

An VectrueError becomes one sentence on stderr and its exit code; a traceback is shown
only with --debug. Arguments are looked at before any command is: bytes that are no text
reach none of them.
"""

import io
import os
import sys
import traceback
from collections.abc import Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
import typer.exceptions

from schemas import command
from schemas.errors import VectrueError
from schemas.text_lines import is_text
from streams.cli.commands import CommandGroup
from streams.cli.screen.interruption import Interruption
from streams.cli.screen.output import err, print_error, print_exactly, print_lines
from streams.common.tracebacks import guard_tracebacks

if TYPE_CHECKING:
    from schemas.health.blocker import Blocker
    from schemas.settings.reading import Settings

app = typer.Typer(
    cls=CommandGroup,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode="markdown",
    help="""Keeps the vectors in Postgres true to the rows they describe.

    Every change of a row's text becomes a new embedding within moments, through Debezium, Kafka and Faust.

    First steps: `vectrue demo` shows it on a stack of its own. For your own tables write vectrue.toml; then
    `vectrue init` checks and sets up, `vectrue worker` does the work, and `vectrue replay run` fills the rows
    that were there before.
    """,
)
_debug = False
_INTERRUPTED = 130  # 128 + SIGINT
_OWN_END = ("worker", "serve")
"""Commands that finish what is in hand when they are asked to stop, and listen
themselves.
"""


def _show_version(wanted: bool) -> None:
    if wanted:
        print_exactly(f"vectrue {version('vectrue')}\n")
        raise typer.Exit


def _tell_of_waits(found: "Sequence[Blocker]") -> None:
    """Say on whom a statement waits: whoever looks at a command that stands still
    should not have to guess.
    """
    from schemas.health import blocker

    ends = next((one for one in found if not one.waits), found[0])
    err.print(
        f"waiting for {blocker.names(found)}: {blocker.ending(ends)}; Ctrl-C gives up",
        soft_wrap=True,
    )


@app.callback()
def options(
    ctx: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option(help="settings file; vectrue.toml of the working directory when left out"),
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="show the traceback of an error")] = False,
    _: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="show the version and end"
        ),
    ] = False,
) -> None:
    """Options of every command."""
    global _debug  # noqa: PLW0603 - the error handler below runs outside of any context
    _debug = debug
    if isinstance(ctx.obj, Interruption) and ctx.invoked_subcommand not in _OWN_END:
        from connectors.postgres.blockers import Watch

        ctx.obj.listen()
        Watch(_tell_of_waits).start()

    @cache
    def load() -> "Settings":
        from schemas.settings import reading
        from streams.common import logs

        settings = reading.load(config)
        logs.configure(settings.log)
        return settings

    ctx.obj = load


def run() -> None:
    """Entry point: run the command line and exit with its code."""
    guard_tracebacks()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # for a terminal that is not UTF-8
            stream.reconfigure(errors="backslashreplace")
    interruption = Interruption()
    try:
        require_text(sys.argv[1:])
        command.begin(sys.argv[1:])
        code = app(standalone_mode=False, obj=interruption)
    except VectrueError as error:
        print_error(str(error), traceback.format_exc() if _debug else "")
        code = error.exit_code
    except (typer.Abort, KeyboardInterrupt):
        code = _INTERRUPTED
    except typer.exceptions.TyperException as error:
        code = _show_usage(error)
    except BrokenPipeError:
        # The reader of stdout went away (`| head`); without this Python complains once
        # more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    if code == _INTERRUPTED:  # which typer makes of a KeyboardInterrupt, too
        err.print("interrupted")
        code = interruption.exit_code
        from connectors.postgres import open_connections

        open_connections.cancel()  # what other threads still run
    sys.exit(code if isinstance(code, int) else 0)


def require_text(arguments: Sequence[str]) -> None:
    """Refuse arguments whose bytes are no text in the terminal's encoding, which Python
    keeps as half characters.

    Raises:
        BadParameter: with the number of the first one, from 1, and the bytes.
    """
    for number, argument in enumerate(arguments, 1):
        if not is_text(argument):
            shown = os.fsencode(argument).decode(errors="backslashreplace")
            raise typer.BadParameter(f"argument {number} is not UTF-8: {shown}")


def _show_usage(error: typer.exceptions.TyperException) -> int:
    usage: Any = error  # typer's public base class does not declare what its usage errors carry
    said = io.StringIO()
    usage.show(said)
    print_lines(said.getvalue(), err)
    return error.exit_code


if __name__ == "__main__":
    run()
