"""`vectrue worker`: arguments only; the work is in streams/worker/process.py and
streams/worker/supervisor.py.
"""

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from connectors.clock import SystemClock
from streams.common import logs
from streams.worker import process as workers
from streams.worker import supervisor


def worker(
    ctx: typer.Context,
    role: Annotated[
        str | None, typer.Option(help="live or replay: run only this one, in the foreground")
    ] = None,
) -> None:
    """Keep the vectors in step: follow the change topics (live) and work off replays
    (replay).

    Without --role, both roles run as child processes, restarted when they fail. With
    --role, one role runs in the foreground, for systemd or Kubernetes: exit code 70
    means "restart me", 78 "the configuration is wrong, restarting will not help", 0
    "asked to stop" (SIGTERM or Ctrl-C; the batch in hand is finished first).

    Any number of workers may run; the workers of a role share the partitions of its
    topics.
    """
    settings = ctx.obj()
    if role is None:
        logs.configure(settings.log, role="supervisor")
        commands: dict[str, Sequence[str]] = {
            name: [*_self(ctx), "worker", "--role", name] for name in workers.ROLES
        }
        raise typer.Exit(supervisor.Supervisor(commands, SystemClock()).run())
    match role:
        case "live" | "replay":
            workers.run(settings, role)
        case _:
            raise typer.BadParameter(f"{role!r} is neither live nor replay", param_hint="--role")


def _self(ctx: typer.Context) -> list[str]:
    config = ctx.find_root().params.get("config")
    return [
        sys.executable,
        "-m",
        "streams.cli.main",
        *(["--config", str(config)] if config else []),
    ]
