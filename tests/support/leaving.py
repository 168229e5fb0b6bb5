"""A worker that would end its process, in a test that goes on."""

import pytest

from streams.worker import runner


class Left(BaseException):
    """The process would have ended here."""


def exit_codes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The codes with which the process would have ended; `Left` is raised each time."""
    left: list[int] = []

    def leave(exit_code: int, reason: str, error: BaseException | None = None) -> None:
        left.append(exit_code)
        raise Left

    monkeypatch.setattr(runner, "leave", leave)
    return left
