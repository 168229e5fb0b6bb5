"""Bisection: the guilty stand alone, the others are taken, at a bounded cost."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.twins.memory import TwinEmbedder
from schemas.errors import ConfigurationError, OutOfMemory, TransientError, VectrueError
from schemas.rows.document import Vector
from streams.common.bisect import Earlier, encode


class Picky(TwinEmbedder):
    """A model that fails in one of several ways when a text of a set is in the batch."""

    def __init__(self, guilty: set[str], how: str = "raise") -> None:
        super().__init__(dimensions=8)
        self.guilty = guilty
        self.how = how
        self.seen = 0

    def encode_documents(self, texts: Sequence[str]) -> Vector:
        self.seen += 1
        vectors = np.array(super().encode_documents(texts))
        bad = [i for i, text in enumerate(texts) if text in self.guilty]
        if not bad:
            return vectors
        match self.how:
            case "raise":
                raise ValueError(f"cannot take {texts[bad[0]]}")
            case "nan":
                vectors[bad[0], 0] = np.nan
            case "norm":
                vectors[bad[0]] *= 1.01
            case "shape":
                return vectors[:-1]
        return vectors


@pytest.mark.parametrize("how", ["raise", "nan", "norm", "shape"])
def test_one_guilty_text_among_64_stands_alone(how: str) -> None:
    """63 vectors, one reason, and at most 2 * log2(64) + 1 = 13 calls more than one;
    exceptions, NaN, norm, shape.
    """
    texts = [f"text {i}" for i in range(64)]
    model = Picky({"text 41"}, how)
    encoded = encode(model, texts, 8)
    assert set(encoded.refused) == {41}
    assert len(encoded.vectors) == 63
    assert model.seen == encoded.calls <= 1 + 13


@given(st.integers(min_value=1, max_value=70), st.data())
def test_the_guilty_and_only_they_are_refused(count: int, data: st.DataObject) -> None:
    """Whichever texts are guilty, exactly they are refused, within the cost; the rest
    keep their vectors.
    """
    texts = [f"text {i}" for i in range(count)]
    guilty = data.draw(
        st.sets(st.integers(min_value=0, max_value=count - 1), max_size=min(4, count))
    )
    model = Picky({texts[i] for i in guilty})
    encoded = encode(model, texts, 8)
    assert set(encoded.refused) == guilty
    expected = TwinEmbedder(dimensions=8).encode_documents(texts)
    for position, vector in encoded.vectors.items():
        np.testing.assert_array_equal(vector, expected[position])
    probe = int(len(guilty) == count)
    assert encoded.calls <= 1 + probe + len(guilty) * (
        2 * math.ceil(math.log2(count)) + 1 if count > 1 else 1
    )


def test_a_reason_never_holds_the_text() -> None:
    """A library's message may quote the text; only the class of its exception is kept."""
    encoded = encode(Picky({"secret"}), ["secret", "x"], 8)
    assert encoded.refused == {0: "the model raised ValueError"}


def test_a_model_that_takes_nothing_is_broken() -> None:
    """A whole batch of refusals is an error of the model: nobody's table goes to
    quarantine.
    """
    texts = [f"text {i}" for i in range(8)]
    with pytest.raises(VectrueError, match="took none of 8 texts"):
        encode(Picky(set(texts)), texts, 8)


class Full(TwinEmbedder):
    """A device with room for texts up to a length."""

    def __init__(self, longest: int) -> None:
        super().__init__(dimensions=8)
        self.longest = longest

    def encode_documents(self, texts: Sequence[str]) -> Vector:
        if any(len(text) > self.longest for text in texts):
            raise OutOfMemory("no room for one text")
        return super().encode_documents(texts)


@pytest.mark.parametrize("count", [1, 20])
def test_texts_too_large_for_the_device_are_guilty_however_many(count: int) -> None:
    """What does not fit while a short text does is refused, alone or in a batch of
    nothing else (I10).
    """
    encoded = encode(Full(longest=10), [f"a very long text {i}" for i in range(count)], 8)
    assert encoded.refused == dict.fromkeys(range(count), "no room for one text")


@pytest.mark.parametrize("taken", [1, 40])
def test_a_device_that_fills_up_halfway_is_no_texts_fault(taken: int) -> None:
    """What fitted a moment ago does not fit now: the rest is not quarantined, the batch
    is tried again.
    """

    class Filling(Full):
        def encode_documents(self, texts: Sequence[str]) -> Vector:
            if len(texts) > taken or self.calls >= 1:
                raise OutOfMemory("no room for one text")
            return super().encode_documents(texts)

    with pytest.raises(TransientError, match="what it took a moment ago"):
        encode(Filling(longest=1000), [f"a healthy text {i}" for i in range(64)], 8)


def test_a_text_too_large_for_the_device_is_guilty_among_others() -> None:
    """The longest of those that fitted fits still, so it is the text: one call more
    than without the question.
    """
    texts = [f"text {i}" for i in range(63)]
    encoded = encode(Full(longest=10), [*texts, "a very long text"], 8)
    assert encoded.refused == {63: "no room for one text"}
    assert encoded.calls <= 1 + 13 + 1


def test_a_full_device_is_no_texts_fault() -> None:
    """A device without room even for a short text is to be tried again; nothing goes to
    quarantine.
    """
    with pytest.raises(TransientError, match="even for a short text"):
        encode(Full(longest=0), ["an edit"], 8)


def test_a_broken_model_is_told_from_one_bad_text() -> None:
    """A single edit that meets a broken model does not go to quarantine: the probe is
    refused too.
    """

    class Broken(TwinEmbedder):
        def encode_documents(self, _: Sequence[str], /) -> Vector:
            raise ValueError

    with pytest.raises(VectrueError, match="took none of 1 texts"):
        encode(Broken(dimensions=8), ["an edit"], 8)


@pytest.mark.parametrize("error", [TransientError("away"), ConfigurationError("wrong")])
def test_what_says_nothing_about_a_text_is_not_its_fault(error: VectrueError) -> None:
    """A device without memory or a wrong configuration passes through; nothing is
    bisected.
    """

    class Failing(TwinEmbedder):
        def encode_documents(self, _: Sequence[str], /) -> Vector:
            raise error

    with pytest.raises(type(error)):
        encode(Failing(dimensions=8), ["x", "y"], 8)


def test_what_came_before_in_the_batch_counts() -> None:
    """A batch goes to the model in several calls: none of eight texts taken is none of
    eight, in whichever call.
    """
    model = Picky({"a text"})
    assert set(encode(model, ["a text"], 8, Earlier(taken=0, refused=6)).refused) == {0}
    with pytest.raises(VectrueError, match="took none of 8 texts"):
        encode(model, ["a text"], 8, Earlier(taken=0, refused=7))
    assert set(encode(model, ["a text"], 8, Earlier(taken=1, refused=7)).refused) == {0}


def test_the_longest_text_that_the_batch_brought_is_the_probe() -> None:
    """A device that has no room for it any more was filled by another process, in
    whichever call it shows.
    """
    asked: list[str] = []

    class Full(TwinEmbedder):
        def encode_documents(self, texts: Sequence[str]) -> Vector:
            asked.extend(texts)
            if max(map(len, texts)) > 5:
                raise OutOfMemory("no room")
            return super().encode_documents(texts)

    with pytest.raises(TransientError, match="a moment ago"):
        encode(Full(dimensions=8), ["x" * 90], 8, Earlier(taken=1, longest="y" * 80))
    assert asked[-1] == "y" * 80
