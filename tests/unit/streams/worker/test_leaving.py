"""How a worker ends over a mismatch: to be restarted where a migration took a step, for
good where nothing changed.
"""

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from connectors.twins.memory import MemoryClock
from schemas.errors import ConfigurationError, TargetMismatch
from schemas.settings.reading import Settings
from streams.worker import app, runner
from streams.worker.watches.watchdog import Heartbeat
from tests.support.leaving import Left, exit_codes


def runner_of(**parts: Any) -> "runner.Runner[Any]":
    application: Any = SimpleNamespace(should_stop=False)
    lane: Any = SimpleNamespace(clock=MemoryClock(), **parts)
    positions: Any = SimpleNamespace(saw=lambda _: None)
    return runner.Runner(application, lane, Heartbeat(0.0, ["sync"]), positions)


def watcher(has_moved: Callable[[], bool], *elsewhere: str) -> Any:
    return SimpleNamespace(
        has_moved=has_moved,
        is_edited=lambda: "edited" in elsewhere,
        is_set_up_now=lambda: "set up now" in elsewhere,
    )


@pytest.mark.parametrize(
    ("error", "changed", "elsewhere", "code"),
    [
        (TargetMismatch("the column wants another model"), True, (), 70),
        (ConfigurationError('column "embedding_v2" does not exist'), True, (), 70),
        (ConfigurationError('column "question" does not exist'), False, (), 78),
        (ConfigurationError('column "question" does not exist'), False, ("edited",), 70),
        (ConfigurationError('column "question" does not exist'), False, ("set up now",), 70),
        (
            ConfigurationError('column "question" does not exist'),
            OSError("a disk that is gone"),
            (),
            70,
        ),
    ],
)
def test_a_step_of_a_migration_ends_no_worker_for_good(
    monkeypatch: pytest.MonkeyPatch,
    error: ConfigurationError,
    changed: bool | Exception,
    elsewhere: tuple[str, ...],
    code: int,
) -> None:
    """A swap renames columns: a lane that meets it as a missing column is restarted; a
    real mistake stays one.

    A look at what is wanted now that fails is not a way out of the loop's body either.
    Where the settings file was edited, or `init` is running, a restart may help.
    """
    left = exit_codes(monkeypatch)

    async def work() -> None:
        raise error

    def has_moved() -> bool:
        if isinstance(changed, Exception):
            raise changed
        return changed

    running = runner_of(watcher=watcher(has_moved, *elsewhere))
    with pytest.raises(Left):
        asyncio.run(running.guarded(work()))
    assert left == [code]


def test_a_lane_that_is_joined_wrongly_is_a_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting fixes it: 70 and a traceback, not 78, after which the worker would not
    be restarted.
    """
    left = exit_codes(monkeypatch)
    lane: Any = SimpleNamespace(clock=MemoryClock())
    parts: Any = SimpleNamespace()

    async def work() -> None:
        app.build(Settings(), lane, Heartbeat(0.0, ["sync"]), parts, client_id="c")

    running = runner_of(watcher=watcher(lambda: False))
    with pytest.raises(Left):
        asyncio.run(running.guarded(work()))
    assert left == [70]
