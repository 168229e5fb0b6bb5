"""The checks that every vector passes before it leaves a model."""

import numpy as np
import pytest

from connectors.models.vectors import check_dimensions, unit_rows
from connectors.twins.model import TwinEmbedder
from schemas.errors import PoisonText, TargetMismatch
from schemas.settings.sections import ModelSettings


@pytest.mark.parametrize("scale", [1e-30, 1e-6, 1.0, 1e6, 1e30])
def test_any_finite_row_gets_unit_length(scale: float) -> None:
    """Rows of any finite size, whose squares would not fit float32, come out with
    length 1 and their direction.
    """
    raw = (np.array([[3.0, 4.0], [0.0, -2.0]]) * scale).astype(np.float32)
    unit = unit_rows(raw, ["a", "b"], 2)
    assert unit.dtype == np.float32
    np.testing.assert_allclose(unit, [[0.6, 0.8], [0.0, -1.0]], rtol=1e-5)


@pytest.mark.parametrize(
    ("value", "words"), [(np.nan, "not finite"), (-np.inf, "not finite"), (0.0, "no direction")]
)
def test_a_row_without_direction_is_refused(value: float, words: str) -> None:
    """One bad number condemns its row only by name: index and length of the text, never
    the text.
    """
    raw = np.ones((3, 4), np.float32)
    raw[2] = value
    with pytest.raises(PoisonText, match=rf"text 2 \(6 characters\).*{words}") as caught:
        unit_rows(raw, ["x", "y", "secret"], 4)
    assert "secret" not in str(caught.value)


def test_the_input_is_left_alone() -> None:
    """The model's array is not written to."""
    raw = np.full((1, 2), 5.0, np.float32)
    unit_rows(raw, ["a"], 2)
    assert raw.tolist() == [[5.0, 5.0]]


def test_rows_of_another_length_are_refused() -> None:
    """A model that makes other vectors than its files say never reaches the database."""
    with pytest.raises(TargetMismatch, match=r"shape \(1, 3\) instead of \(1, 2\)"):
        unit_rows(np.ones((1, 3), np.float32), ["a"], 2)


def test_a_row_for_each_text_or_some_texts_are_to_blame() -> None:
    """A network that returns too few rows is bisected like one that raises; it is not
    the configuration's fault.
    """
    with pytest.raises(PoisonText, match=r"shape \(1, 2\) instead of \(2, 2\)"):
        unit_rows(np.ones((1, 2), np.float32), ["a", "b"], 2)


def test_dimensions_message() -> None:
    """The sentence names the setting, both numbers and the fix."""
    check_dimensions(ModelSettings(name="m", dimensions=384), 384)
    with pytest.raises(TargetMismatch) as caught:
        check_dimensions(ModelSettings(name="m", dimensions=1024), 384)
    assert str(caught.value) == (
        "model.dimensions is 1024, but m makes vectors of 384 dimensions: "
        "set model.dimensions = 384, or choose another model.name"
    )


def test_twin_counts_and_fails_on_request() -> None:
    """The twin tells how much it was used, and fails a whole call for one bad text, as
    a model does.
    """
    twin = TwinEmbedder(4, fails=lambda text: "bad" in text)
    twin.encode_documents(["a", "b"])
    twin.encode_query("a")
    with pytest.raises(PoisonText, match=r"text 1 \(4 characters\)"):
        twin.encode_documents(["a", "bad!"])
    assert (twin.calls, twin.texts_encoded) == (3, 3)
    assert TwinEmbedder(4, name="other").model_id != twin.model_id != TwinEmbedder(5).model_id
