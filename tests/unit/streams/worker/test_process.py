"""With which code a worker ends that cannot begin."""

from typing import Any

import pytest

from schemas.errors import ConfigurationError, PoisonEvent, TransientError, VectrueError
from schemas.settings.reading import Settings
from streams.common import logs
from streams.worker import process as worker


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigurationError("wrong"), 78),
        (TransientError("away"), 70),
        (VectrueError("the database refuses the statement"), 70),
        (PoisonEvent("a value does not fit"), 70),
        (RuntimeError("a bug"), 70),
    ],
)
@pytest.mark.parametrize("stage", ["_start", "_look_at_topics", "_consume"])
def test_only_a_wrong_configuration_is_for_good(
    stage: str, error: Exception, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever else it is, a bug among them, the worker says "restart me", so that a
    supervisor's rules hold.
    """

    def fail(*_: Any) -> None:
        raise error

    closed: list[bool] = []

    class Store:
        def close(self) -> None:
            closed.append(True)

    class Lane:
        store = Store()

    monkeypatch.setattr(logs, "configure", lambda *_, **__: None)
    monkeypatch.setattr(worker, "_start", lambda *_: Lane())
    monkeypatch.setattr(worker, "_look_at_topics", lambda *_: (None, None))
    monkeypatch.setattr(worker, stage, fail)
    assert worker._work(Settings(), "live") == code
    assert closed == ([] if stage == "_start" else [True])
