"""What every text passes before a model sees it, on both sides."""

import unicodedata

import pytest

from connectors.models.text import prepare
from schemas.reports.model_record import LONGEST_TOKEN
from schemas.rows.document import BLANK_WITHIN

SENTENCE = "인덱스가 하는 일을 설명하세요"


@pytest.mark.parametrize("form", ["NFC", "NFD", "NFKD"])
def test_composed_and_decomposed_are_one_text(form: str) -> None:
    """However a keyboard typed it, the model is given the composed form."""
    typed = unicodedata.normalize(form, SENTENCE)  # type: ignore[arg-type]  # a str from parametrize
    assert prepare([typed], 512) == [SENTENCE]


def test_compatibility_characters_stay() -> None:
    """Only what is canonically the same is made the same: a ligature or a full-width
    letter may mean something.
    """
    assert prepare(["ﬁ Ａ ①"], None) == ["ﬁ Ａ ①"]


@pytest.mark.parametrize("max_tokens", [1, 512, None])
def test_no_tokenizer_is_given_more_than_it_may_use(max_tokens: int | None) -> None:
    """A text of 8 million characters is cut to what the token limit can stand for, and
    without one to what is read.
    """
    longest = BLANK_WITHIN if max_tokens is None else max_tokens * LONGEST_TOKEN
    text = "가나다라 " * 1_600_000
    assert prepare([text, "short"], max_tokens) == [text[:longest], "short"]


@pytest.mark.parametrize("nothing", [" ", "\u200b", "\u3164", "\n\t"], ids=ascii)
def test_a_long_text_begins_where_it_shows_something(nothing: str) -> None:
    """What shows nothing does not fill the room of what follows it."""
    (cut,) = prepare([nothing * 40_000 + SENTENCE], 64)
    assert cut == SENTENCE
