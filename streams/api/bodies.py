"""Requests of the HTTP interface, as the OpenAPI page shows them.

Hazard: a request is validated in the event loop, where an error for each of its items
would block every other request for seconds. So every list has a `max_length` and stops
at its first wrong item (`fail_fast`), and fields and texts are counted before they are
validated one by one.
"""

import re
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from schemas.reports.search import MOST_HITS, SearchRequest

# Not \S: OpenAPI's patterns are those of JavaScript, which does not agree with Python
# about what white space is. This excludes both kinds.
NOT_BLANK = r"[^\s\u001c-\u001f\u0085\ufeff]"
_SHOWS = re.compile(NOT_BLANK)
Text = Annotated[str, Field(min_length=1, pattern=NOT_BLANK, description="not blank")]


def _whole(value: Any) -> Any:
    """Turn 5.0 into 5: JSON has one kind of number."""
    # Strict validation would refuse 5.0 for an integer.
    return int(value) if isinstance(value, float) and value.is_integer() else value


Whole = Annotated[int, BeforeValidator(_whole)]
Count = Annotated[int, Field(ge=1, le=MOST_HITS), BeforeValidator(_whole)]
TableText = Annotated[
    str,
    Field(
        pattern=r"^[^\x00]+$",
        max_length=300,
        description="schema.table, or table",
        examples=["public.questions"],
    ),
]
KeyText = Annotated[str, Field(pattern=r"^[^\x00]*$", max_length=10_000)]
"""A value of a key. An index of Postgres takes fewer characters."""

# Most characters of a query: what a model of 8,192 tokens can read of English text.
_MOST_QUERY = 32_768
_MOST_TABLES = 1_000
MOST_INPUTS = 2_048
"""Texts in a request for embeddings, as OpenAI's: more are refused before one of them is
looked at.
"""


class _Body(BaseModel):
    # strict: `true` and "5" are not numbers. python-re: tests run the same patterns.
    model_config = ConfigDict(
        extra="forbid", strict=True, regex_engine="python-re", hide_input_in_errors=True
    )

    @model_validator(mode="before")
    @classmethod
    def _few_fields(cls, value: Any) -> Any:
        most = len(cls.model_fields)
        if isinstance(value, dict) and len(value) > most:
            number = {"number": len(value), "most": most}
            raise PydanticCustomError(
                "fields", "there are {number} fields, and {most} at most", number
            )
        return value


class EmbeddingsRequest(_Body):
    """A request to OpenAI's embeddings endpoint, with `input_type`."""

    input: (
        Text | Annotated[list[Text], Field(min_length=1, max_length=MOST_INPUTS, fail_fast=True)]
    ) = Field(
        description="a text or a list of texts; token arrays are refused",
        examples=["파이썬의 GIL은 무엇인가요?"],
    )
    model: str = Field(description="name or id of a served model", examples=["BAAI/bge-m3"])
    encoding_format: Literal["float", "base64"] = Field(
        "float", description="base64: the bytes of little-endian float32 numbers"
    )
    dimensions: Whole | None = Field(None, description="only the model's own number")
    user: str | None = Field(None, description="ignored")
    input_type: Literal["document", "query"] = Field(
        "document", description="query: as a search query, which some models embed differently"
    )

    @field_validator("input", mode="before")
    @classmethod
    def _texts(cls, value: Any) -> Any:
        """Report what is wrong, and at which place."""
        # pydantic would report an error of each of the two forms.
        if isinstance(value, list):
            _check_texts(value)
        elif not isinstance(value, str):
            raise PydanticCustomError("input", "it is neither a text nor a list of texts")
        elif not _SHOWS.search(value):
            raise PydanticCustomError("blank", "it is empty" if not value else "it is blank")
        return value

    @property
    def texts(self) -> list[str]:
        """The input as a list."""
        return [self.input] if isinstance(self.input, str) else self.input


def _check_texts(items: Sequence[object]) -> None:
    """Raise the error of the first item that cannot be embedded."""
    if not items:
        raise PydanticCustomError("empty_list", "it is an empty list; send at least one text")
    if len(items) > MOST_INPUTS:
        number = {"number": len(items), "most": MOST_INPUTS}
        raise PydanticCustomError("texts", "there are {number} texts, and {most} at most", number)
    # OpenAI's clients send tokens as a list, or as a list of lists.
    if isinstance(items[0], int | list) and not isinstance(items[0], bool):
        raise PydanticCustomError(
            "tokens",
            "token arrays are not supported, since each model has its own tokens; send texts "
            "(in LangChain: check_embedding_ctx_length=False)",
        )
    for place, item in enumerate(items):
        if not isinstance(item, str):
            raise PydanticCustomError(
                "no_text", "item {place} is not text (items count from 0)", {"place": place}
            )
        if not _SHOWS.search(item):
            what = {"place": place, "what": "blank" if item else "empty"}
            raise PydanticCustomError("blank", "item {place} is {what} (items count from 0)", what)


class SearchBody(_Body):
    """A search."""

    query: Text = Field(
        max_length=_MOST_QUERY, description="what is looked for", examples=["파이썬 멀티스레딩"]
    )
    tables: list[TableText] = Field(
        [],
        max_length=_MOST_TABLES,
        fail_fast=True,
        description="only these of the configured tables; all when empty",
    )
    limit: Count = Field(5, description="most rows, over all tables")
    min_similarity: float | None = Field(
        None, ge=-1, le=1, description="only rows at least this similar"
    )
    exact: bool = Field(False, description="compare every row; use no index")
    ef_search: Count | None = Field(
        None, description="candidates that an HNSW index keeps; of no effect with `exact`"
    )

    def request(self) -> SearchRequest:
        """Return the search; without a condition, which is SQL and never a client's."""
        return SearchRequest(
            text=self.query,
            tables=tuple(self.tables),
            limit=self.limit,
            min_similarity=self.min_similarity,
            exact=self.exact,
            ef_search=None if self.exact else self.ef_search,
        )


class FeedbackBody(_Body):
    """A row that a search found, and whether it was useful."""

    # Not UUID: strict validation does not take one from text.
    query_id: str = Field(
        min_length=36,
        max_length=36,
        pattern=r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$",
        description="as the answer to the search has it",
        examples=["7b0c4d0e-6d0f-4b55-9a53-0d0f2f1c8a11"],
    )
    table: TableText = Field(description="as the hit has it", examples=["public.questions"])
    key: list[KeyText] = Field(
        min_length=1,
        max_length=32,
        fail_fast=True,
        description="as the hit has it",
        examples=[["17"]],
    )
    useful: bool = Field(description="the last feedback on a row of a search counts")


class ScoreByReference(_Body):
    """An answer and a reference answer."""

    answer: Text = Field(
        description="what is scored", examples=["한 번에 한 스레드만 바이트코드를 실행합니다."]
    )
    reference: Text = Field(
        description="a good answer",
        examples=["GIL은 한 번에 한 스레드만 바이트코드를 실행하게 하는 락입니다."],
    )


class ScoreByQuestion(_Body):
    """An answer, and the question whose stored answers are its references."""

    answer: Text = Field(
        description="what is scored", examples=["한 번에 한 스레드만 바이트코드를 실행합니다."]
    )
    question: Annotated[KeyText, Field(min_length=1)] | Whole = Field(
        description="the question's key, as the column score.question has it", examples=[1]
    )
