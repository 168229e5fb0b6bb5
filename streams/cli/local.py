"""`vectrue local`: PostgreSQL, Kafka and Kafka Connect on this machine.

It needs neither Docker nor Java.

Hazard: `env` prints the password of the local superuser, because its output is for
`eval`.
"""

import os
import shlex
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from schemas import extras
from streams.cli.formatting import UNKNOWN
from streams.cli.screen.bars import ProgressBars
from streams.cli.screen.confirmation import YesOption, require_confirmation
from streams.cli.screen.output import Format, OutputOption, err, out, print_exactly, print_json
from streams.cli.screen.tables import Grid

if TYPE_CHECKING:
    from connectors.local.stack import LocalStack, PartStatus

app = typer.Typer(
    help="A PostgreSQL, Kafka and Kafka Connect on this machine.", no_args_is_help=True
)

Directory = Annotated[
    Path,
    typer.Option(
        "--dir", metavar="DIR", help="folder of the stack", file_okay=False, readable=False
    ),
]
DEFAULT = Path(".vectrue")
_JARS = "fetching jars"


@app.command()
def up(
    directory: Directory = DEFAULT,
    secure: Annotated[
        bool,
        typer.Option(
            "--secure", help="a new stack with TLS, passwords and access control everywhere"
        ),
    ] = False,
    postgres: Annotated[
        str | None,
        typer.Option(
            "--postgres",
            metavar="VERSION|FOLDER",
            help="PostgreSQL of a new stack: 18 or 16, or the folder of an installation",
        ),
    ] = None,
) -> None:
    """Start the stack, or the stopped parts of it, and return when every part answers."""
    stack = _stack(directory)
    with ProgressBars(transient=True) as bars:

        def fetched(arrived: int, total: int) -> None:
            if arrived < total:
                bars.show(_JARS, arrived, total)
            else:
                bars.remove(_JARS)
            if not err.is_terminal and (arrived % 20 == 0 or arrived == total):
                err.print(f"fetched {arrived} of {total} jars")

        stack.up(err.print, fetched, secure=secure, postgres=postgres)
    option = _option(directory)
    err.print(f'use it: eval "$(vectrue local env{option})"; stop it: vectrue local down{option}')


@app.command()
def down(directory: Directory = DEFAULT) -> None:
    """Stop the stack; data and ports stay."""
    _stack(directory).down(err.print)


@app.command()
def status(directory: Directory = DEFAULT, output: OutputOption = Format.TABLE) -> None:
    """Show each part; exit 0 if all of them run, 1 otherwise."""
    stack = _stack(directory)
    parts = stack.status()
    if output is Format.JSON:
        print_json([asdict(part) for part in parts])
    else:
        _print_table(parts)
    if stack.is_secure:
        err.print(
            "secure: TLS and passwords for Postgres and Kafka; Connect's REST interface without "
            "TLS, on loopback"
        )
    raise typer.Exit(0 if all(part.state == "running" for part in parts) else 1)


@app.command()
def reset(
    directory: Directory = DEFAULT,
    yes: YesOption = False,
) -> None:
    """Stop the stack and delete its data. The jars, which all stacks share, stay."""
    stack = _stack(directory)
    require_confirmation(f"Delete the databases and topics in {stack.directory}?", yes=yes)
    stack.reset(err.print)


@app.command()
def env(directory: Directory = DEFAULT) -> None:
    """Print export lines that make vectrue use the stack: eval "$(vectrue local env)"."""
    for name, value in _stack(directory).environment().items():
        print_exactly(f"export {name}={shlex.quote(value)}\n")


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def psql(ctx: typer.Context, directory: Directory = DEFAULT) -> None:
    """Open psql on the stack's database; further arguments are psql's: vectrue local
    psql -c 'SELECT 1'.
    """
    dsn = _stack(directory).psql_dsn()
    from connectors.local.services import postgres

    command, environment = postgres.psql(dsn, ctx.args)
    # exec replaces this process, and nothing would flush stdout.
    sys.stdout.flush()
    os.execve(command[0], command, environment)  # noqa: S606 - psql takes the terminal over


def _option(directory: Path) -> str:
    return "" if directory == DEFAULT else f" --dir {shlex.quote(str(directory))}"


def _print_table(parts: list["PartStatus"]) -> None:
    # A path that is folded cannot be opened.
    table = Grid("NAME", "STATE", "PID", "WHERE", "VERSION", "LOG", whole=("LOG",))
    for part in parts:
        table.add_row(
            part.name,
            part.state,
            str(part.pid or UNKNOWN),
            part.where or UNKNOWN,
            part.version,
            str(part.log),
        )
    out.print(table)


def _stack(directory: Path) -> "LocalStack":
    # The container image has no such extra.
    with extras.needed("the local stack"):
        from connectors.local.stack import LocalStack
    return LocalStack(directory)
