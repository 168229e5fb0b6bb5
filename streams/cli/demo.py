"""`vectrue demo`: arguments and printing only; the story is in streams/operations/demo.py."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from schemas import extras
from streams.cli.formatting import duration
from streams.cli.screen.output import err, out, styled

if TYPE_CHECKING:
    from streams.operations.demo import StepLine


def demo(
    keep: Annotated[
        bool, typer.Option("--keep", help="leave the stack and the workers running at the end")
    ] = False,
    directory: Annotated[Path, typer.Option("--dir", help="the demo's own folder")] = Path(
        ".vectrue/demo"
    ),
) -> None:
    """Show the whole path on real services, in about a minute: sync, an edit, search, a
    full replay, lag.

    It starts a Postgres with pgvector, a Kafka and a Debezium of its own (without Docker
    or Java), loads 222 Korean interview questions and 237 answers, and lets the workers
    keep their vectors true. The model is BAAI/bge-m3 if its weights are in the local
    cache, otherwise the bundled multilingual-e5-small. Nothing is left running without
    --keep.
    """
    with extras.needed("`vectrue demo`"):
        from streams.operations.demo import Demo

    err.print(
        "vectrue demo: real Postgres, Kafka, Debezium and Faust; the first run fetches 61 MB of "
        "jars"
    )
    Demo(directory, _report, _show).run(keep=keep)


def _report(line: "StepLine") -> None:
    time = "" if line.seconds is None else duration(line.seconds)
    out.print(styled("✓", "green"), styled(f"{time:>9}", "cyan"), f" {line.text}")
    for detail in line.details:
        out.print(f"             {detail}", style="dim")


def _show(arguments: Sequence[str]) -> None:
    out.print()
    out.print(f"$ vectrue {' '.join(arguments)}", style="bold")
