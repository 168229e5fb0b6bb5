"""`vectrue model check`: a model that is right passes, and each way of being wrong is
seen, told and exit code 1.
"""

import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from connectors.twins.memory import MemoryClock
from connectors.twins.model import TwinEmbedder
from schemas.errors import ModelUnavailable
from schemas.rows.document import Vector
from schemas.settings.reading import Settings
from schemas.settings.sections import ModelSettings
from streams.cli.models import model as commands
from streams.evaluation import model_check

Wrong = Callable[[Vector, Sequence[str]], Vector]


class _Broken(TwinEmbedder):
    """A twin whose vectors pass through a fault on their way out."""

    def __init__(self, fault: Wrong) -> None:
        super().__init__(8)
        self.fault = fault

    def encode_documents(self, texts: Sequence[str]) -> Vector:
        return self.fault(super().encode_documents(texts), texts)


def _not_a_number(vectors: Vector, _: Sequence[str]) -> Vector:
    vectors[-1, 3] = np.nan
    return vectors


def _raise(vectors: Vector, _: Sequence[str]) -> Vector:
    raise IndexError("index 9 is out of range")


FAULTS: dict[str, tuple[Wrong, str]] = {
    "dimension": (lambda vectors, _: vectors[:, :7], "array of shape (3, 7), not (3, 8)"),
    "a text too few": (lambda vectors, _: vectors[1:], "array of shape (2, 8), not (3, 8)"),
    "norm": (lambda vectors, _: vectors * np.float32(1.01), "vectors of length 1.01"),
    "finiteness": (_not_a_number, "numbers that are not finite"),
    "one vector for all": (
        lambda vectors, _: np.repeat(vectors[:1], len(vectors), axis=0),
        "have the same vector",
    ),
    "neighbours": (
        lambda vectors, texts: vectors if len(texts) == 1 else vectors[:, ::-1].copy(),
        "another vector alone than in a batch",
    ),
    "an exception": (_raise, "the model raised IndexError (index 9 is out of range)"),
}


def test_a_model_that_is_right() -> None:
    """Nothing is wrong; the report has the shape, the lengths, and the texts in order
    of their similarity.
    """
    checked = model_check.check(TwinEmbedder(8), MemoryClock())
    assert (checked.ok, checked.problems, checked.shape) == (True, [], (3, 8))
    assert checked.shortest == pytest.approx(1, abs=1e-6) == checked.longest
    similarities = [similarity for similarity, _ in checked.hits]
    assert similarities == sorted(similarities, reverse=True)
    assert {text for _, text in checked.hits} == set(model_check.TEXTS)


@pytest.mark.parametrize("name", FAULTS)
def test_a_model_that_is_wrong(name: str) -> None:
    """The fault is named, nothing is searched with such vectors, and the report stays
    JSON.
    """
    fault, told = FAULTS[name]
    checked = model_check.check(_Broken(fault), MemoryClock())
    assert not checked.ok
    assert told in checked.problems[0]
    assert checked.hits == []
    assert json.loads(json.dumps(checked.to_json(), allow_nan=False))["ok"] is False


def _command(monkeypatch: pytest.MonkeyPatch, embedder: Any, *arguments: str) -> Any:
    monkeypatch.setattr(commands, "open_model", lambda *_: embedder)
    settings = Settings(model=ModelSettings(name="lexical", dimensions=8))
    return CliRunner().invoke(commands.app, ["check", *arguments], obj=lambda: settings)


def test_the_command_fails_for_a_broken_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit 1 with the problem and the verdict, as a table and as JSON; exit 0 for one
    that is right.
    """
    right = _command(monkeypatch, TwinEmbedder(8))
    assert (right.exit_code, "verdict       ok" in right.stdout) == (0, True)
    for name, (fault, told) in FAULTS.items():
        shown = _command(monkeypatch, _Broken(fault))
        assert (shown.exit_code, told in shown.stdout) == (1, True), name
        assert "these vectors cannot be trusted" in shown.stdout
        report = _command(monkeypatch, _Broken(fault), "-o", "json")
        assert (report.exit_code, json.loads(report.stdout)["ok"]) == (1, False)


def test_a_model_that_is_not_there_is_no_broken_one() -> None:
    """What mends it is the fetching, so the error goes on to say that."""

    class Missing(TwinEmbedder):
        def load(self) -> None:
            raise ModelUnavailable("the weights are not here", fix="run `vectrue model pull`")

    with pytest.raises(ModelUnavailable):
        model_check.check(Missing(8), MemoryClock())
