"""How a worker ends over a mismatch: to start anew where a migration took a step, for good where nothing changed."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from connectors.memory import MemoryClock
from schemas.errors import ConfigurationError, TargetMismatch
from streams import app
from streams.watchdog import Pulse


class Left(BaseException):
    """The process would have ended here."""


@pytest.mark.parametrize(
    ("error", "changed", "code"),
    [
        (TargetMismatch("the column wants another model"), True, 70),
        (ConfigurationError('column "embedding_v2" does not exist'), True, 70),
        (ConfigurationError('column "question" does not exist'), False, 78),
        (ConfigurationError('column "question" does not exist'), OSError("a disk that is gone"), 70),
    ],
)
def test_a_step_of_a_migration_ends_no_worker_for_good(
    monkeypatch: pytest.MonkeyPatch, error: ConfigurationError, changed: bool | Exception, code: int
) -> None:
    """A swap renames columns: a lane that meets it as a missing column starts anew; a real mistake stays one.

    A look at what is wanted now that fails is no way out of the loop's body either.
    """
    left: list[int] = []

    def leave(exit_code: int, reason: str, error: BaseException | None = None) -> None:
        left.append(exit_code)
        raise Left

    monkeypatch.setattr(app, "leave", leave)

    async def work() -> None:
        raise error

    def has_moved() -> bool:
        if isinstance(changed, Exception):
            raise changed
        return changed

    lane = SimpleNamespace(clock=MemoryClock(), watcher=SimpleNamespace(has_moved=has_moved))
    runner = app.Runner(
        cast("Any", SimpleNamespace(should_stop=False)), cast("Any", lane), Pulse(0.0, ["sync"]), cast("Any", None)
    )
    with pytest.raises(Left):
        asyncio.run(runner._guarded(work()))
    assert left == [code]
