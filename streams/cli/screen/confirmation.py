"""The one policy of confirmation: a terminal is asked, a script says --yes.

A command asks before it deletes or drops something, before it takes something from
another installation, before it records what only the user can know, and before it
embeds more than `MANY_ROWS` rows.

Hazard: a question needs stdin and stderr to be terminals. A script that pipes either of
them is refused with exit code 2 until it says --yes.
"""

import sys
from typing import Annotated

import typer

from schemas.errors import VectrueError
from schemas.printable import one_line
from streams.cli.screen.output import err

MANY_ROWS = 100_000
"""More rows than this are embedded only after a question: it takes hours on a CPU."""

YesOption = Annotated[
    bool, typer.Option("--yes", "-y", help="do not ask; required without a terminal")
]


class ConfirmationRequired(VectrueError):
    """A question needs an answer, and no terminal can be asked."""

    # A usage error: --yes is missing.
    exit_code = 2


def can_ask() -> bool:
    """Return whether a question would be seen, and could be answered."""
    return sys.stdin.isatty() and err.is_terminal


def confirm(question: str) -> bool:
    """Ask on stderr, and return the answer; Ctrl-C and Ctrl-D end the command."""
    return typer.confirm(one_line(question), err=True)


def require_confirmation(question: str, *, yes: bool, fix: str | None = None) -> None:
    """Return only if the user agrees.

    Args:
        question: names what is changed, and ends with a question mark.
        yes: whether --yes was given, so that nothing is asked.
        fix: the ways out where no terminal can be asked; to add --yes when left out.

    Raises:
        ConfirmationRequired: no terminal can be asked, and --yes is missing.
        Exit: the answer is no; exit code 1.
    """
    if yes:
        return
    if not can_ask():
        raise ConfirmationRequired(f'no terminal to ask "{question}"', fix=fix or "add --yes")
    if not confirm(question):
        err.print("nothing was changed")
        raise typer.Exit(1)
