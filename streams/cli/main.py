"""The command line `vectrue`: options that all commands share, and how errors end.

A VectrueError becomes one sentence on stderr and its exit code; a traceback is shown
only with --debug. Arguments that are not text are refused before a command sees them.

Hazard: a command gets a function that reads the settings, and has to call it before it
does anything: --help, --version and `doctor` work where they are wrong.
"""

import io
import os
import sys
import traceback
from collections.abc import Sequence
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
import typer.exceptions

from schemas import command, extras
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

    Every change of a row's text becomes a new embedding within moments, through
    Debezium, Kafka and Faust.

    First steps: `vectrue demo` shows it on a stack of its own. For your own tables write
    vectrue.toml; then `vectrue init` checks and sets up, `vectrue worker` does the work,
    and `vectrue replay run` fills the rows that were there before.
    """,
)
_debug = False
_INTERRUPTED = 130  # 128 + SIGINT
# These finish the batch in hand when they are asked to stop, and listen themselves.
_OWN_END = ("worker", "serve")


def _show_version(wanted: bool) -> None:
    if wanted:
        print_exactly(f"vectrue {version('vectrue')}\n")
        raise typer.Exit


def _report_wait(found: "Sequence[Blocker]") -> None:
    """Print which session holds up a statement, and how to end it."""
    from schemas.health import blocker

    # The one that waits for no other holds up all of them.
    cause = next((one for one in found if not one.waits), found[0])
    err.print(f"waiting for {blocker.names(found)}: {blocker.ending(cause)}; Ctrl-C gives up")


@app.callback()
def options(
    ctx: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option(help="settings file; by default vectrue.toml of the working directory"),
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="show the traceback of an error")] = False,
    _: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="show the version and exit"
        ),
    ] = False,
) -> None:
    """Read the options that stand before a command."""
    global _debug  # noqa: PLW0603 - the error handler below runs outside of any context
    from schemas.settings.sections import LogSettings
    from streams.common import logs

    _debug = debug
    # Some commands read no settings, and structlog's own defaults print all to stdout.
    logs.configure(LogSettings())
    if isinstance(ctx.obj, Interruption) and ctx.invoked_subcommand not in _OWN_END:
        from connectors.postgres.blockers import Watch

        ctx.obj.listen()
        Watch(_report_wait).start()

    ctx.obj = cache(partial(_load, config))


def _load(config: Path | None) -> "Settings":
    from schemas.settings import reading
    from streams.common import logs

    settings = reading.load(config)
    logs.configure(settings.log)
    return settings


def run() -> None:
    """Entry point: run the command line and exit with its code."""
    guard_tracebacks()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that is not UTF-8 gets escapes instead of an error.
            stream.reconfigure(errors="backslashreplace")
    interruption = Interruption()
    try:
        require_text(sys.argv[1:])
        command.begin(sys.argv[1:])
        with extras.needed():
            code = app(standalone_mode=False, obj=interruption)
    except VectrueError as error:
        print_error(str(error), traceback.format_exc() if _debug else "")
        code = error.exit_code
    except (typer.Abort, KeyboardInterrupt):
        code = _INTERRUPTED
    except typer.exceptions.TyperException as error:
        code = _show_usage(error)
    except BrokenPipeError:
        # The reader of stdout went away (`| head`). Python would complain again when it
        # flushes stdout at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    # typer makes this code of a KeyboardInterrupt, too.
    if code == _INTERRUPTED:
        code = _interrupted(interruption)
    sys.exit(code if isinstance(code, int) else 0)


def _interrupted(interruption: Interruption) -> int:
    err.print("interrupted")
    code = interruption.exit_code
    from connectors.postgres import open_connections

    # Other threads may still run statements.
    open_connections.cancel()
    return code


def require_text(arguments: Sequence[str]) -> None:
    """Refuse arguments that are not text in the terminal's encoding.

    Raises:
        BadParameter: with the number of the first one, from 1, and its bytes.
    """
    for number, argument in enumerate(arguments, 1):
        # Python keeps such bytes as half characters, which no service takes.
        if not is_text(argument):
            shown = os.fsencode(argument).decode(errors="backslashreplace")
            raise typer.BadParameter(f"argument {number} is not UTF-8: {shown}")


def _show_usage(error: typer.exceptions.TyperException) -> int:
    # typer's public base class does not declare what its usage errors carry.
    usage: Any = error
    said = io.StringIO()
    usage.show(said)
    print_lines(said.getvalue(), err)
    return error.exit_code


if __name__ == "__main__":
    run()
