"""The commands of `vectrue`, each read from its module only when it is called.

All commands together import PyTorch's neighbours, Kafka's and Postgres's clients and
several hundred modules of ours: over a second, on each call of any command. The list of
commands and `--version` need none of them.

Hazard: the list shows the summary that stands here; the command's own help text is in
its module.
"""

from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal

import typer
from typer.core import TyperCommand, TyperGroup
from typing_extensions import override

from schemas import extras

_MARKUP: Literal["markdown"] = "markdown"


@dataclass(frozen=True)
class LazyCommand:
    """A command and the module it is in.

    Attributes:
        module: below `streams.cli`.
        attribute: a function, or the Typer of a command with subcommands.
        summary: its line in the list of commands.
        command_class: name of a class in the module that reads its arguments.
    """

    module: str
    attribute: str
    summary: str
    command_class: str | None = None


COMMANDS = {
    "demo": LazyCommand(
        "demo", "demo", "Show the whole path on a stack of its own, in about a minute."
    ),
    "local": LazyCommand(
        "local", "app", "Run PostgreSQL, Kafka and Kafka Connect on this machine."
    ),
    "init": LazyCommand("init", "init", "Set up the database, the topics and the connector."),
    "doctor": LazyCommand(
        "doctor", "doctor", "Check every precondition and show how to fix what fails."
    ),
    "worker": LazyCommand(
        "worker", "worker", "Keep the vectors true: follow changes, work off replays."
    ),
    "status": LazyCommand("data.status", "status", "Count the rows of each table by state."),
    "lag": LazyCommand(
        "lag", "lag", "Show how far behind each hop is.", command_class="LagCommand"
    ),
    "replay": LazyCommand(
        "data.replay", "app", "Embed existing rows: all of them, or those in need."
    ),
    "migrate": LazyCommand(
        "data.migrate", "app", "Move to another model without stopping searches."
    ),
    "verify": LazyCommand(
        "data.verify", "verify", "Check that every vector is true; exit 1 if not."
    ),
    "adopt": LazyCommand("data.adopt", "adopt", "Take over vectors that your application made."),
    "dlq": LazyCommand("data.dlq", "app", "List and redrive dead letters and quarantined rows."),
    "search": LazyCommand("models.search", "search", "Find the rows nearest to a text."),
    "compare": LazyCommand("models.compare", "compare", "Compare two models on judged queries."),
    "serve": LazyCommand(
        "models.serve", "serve", "Answer search, scores and embeddings over HTTP."
    ),
    "quality": LazyCommand(
        "models.quality", "app", "Measure search quality, and follow it over time."
    ),
    "score": LazyCommand("models.score", "app", "Score an answer by reference answers."),
    "model": LazyCommand("models.model", "app", "Show, fetch and check the model."),
    "config": LazyCommand("config", "app", "Show the settings in force."),
}


class CommandGroup(TyperGroup):
    """The group of all commands."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._listing = False
        for name, entry in COMMANDS.items():
            self.commands[name] = TyperCommand(name, help=entry.summary, rich_markup_mode=_MARKUP)

    @override
    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return the command, or only its summary while commands are listed."""
        if self._listing or cmd_name not in COMMANDS:
            return super().get_command(ctx, cmd_name)
        return read_command(cmd_name)

    @override
    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help of the group itself."""
        self._listing = True
        try:
            super().format_help(ctx, formatter)
        finally:
            self._listing = False

    @override
    def shell_complete(self, ctx: Any, incomplete: str) -> Any:
        """Return what may follow `vectrue` in a shell."""
        self._listing = True
        try:
            return super().shell_complete(ctx, incomplete)
        finally:
            self._listing = False


def read_command(name: str) -> Any:
    """Import the command's module and return the command.

    Raises:
        KeyError: there is no such command.
    """
    entry = COMMANDS[name]
    # A module imports optional packages at its head where the whole command needs them.
    with extras.needed(f"`vectrue {name}`"):
        module = import_module(f"streams.cli.{entry.module}")
    found = getattr(module, entry.attribute)
    # A group of one: it gives the command its name and passes the markup on to it.
    group = typer.Typer(rich_markup_mode=_MARKUP, callback=lambda: None)
    if isinstance(found, typer.Typer):
        group.add_typer(found, name=name)
    else:
        command_class = getattr(module, entry.command_class) if entry.command_class else None
        group.command(name, cls=command_class)(found)
    commands: dict[str, Any] = getattr(typer.main.get_command(group), "commands", {})
    return commands[name]
