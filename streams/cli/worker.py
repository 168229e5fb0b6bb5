"""`vectrue worker`: arguments only; the work is in streams/worker."""

import sys
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated

import typer

from connectors.clock import SystemClock
from streams.common import logs
from streams.worker import process as workers
from streams.worker import supervisor


class RoleChoice(StrEnum):
    """A role that a worker can have."""

    LIVE = "live"
    REPLAY = "replay"


def worker(
    ctx: typer.Context,
    role: Annotated[
        RoleChoice | None, typer.Option(help="run only this role, in the foreground")
    ] = None,
) -> None:
    """Keep the vectors true: follow the change topics (live) and process replays
    (replay).

    Without --role, both roles run as child processes, restarted when they fail. With
    --role, one role runs in the foreground, for systemd or Kubernetes: exit code 70
    means "restart me", 78 "the configuration is wrong, restarting will not help", 0
    "asked to stop" (SIGTERM or Ctrl-C; the batch in hand is finished first).

    Any number of workers may run; the workers of a role share the partitions of its
    topics.
    """
    settings = ctx.obj()
    match role:
        case None:
            logs.configure(settings.log, role="supervisor")
            commands: dict[str, Sequence[str]] = {}
            for name in workers.ROLES:
                commands[name] = [*_self(ctx), "worker", "--role", name]
            raise typer.Exit(supervisor.Supervisor(commands, SystemClock()).run())
        case RoleChoice.LIVE:
            workers.run(settings, "live")
        case RoleChoice.REPLAY:
            workers.run(settings, "replay")


def _self(ctx: typer.Context) -> list[str]:
    """Return this program with the settings file that it was given."""
    program = [sys.executable, "-m", "streams.cli.main"]
    config = ctx.find_root().params.get("config")
    if config:
        program += ["--config", str(config)]
    return program
