"""Requests and answers of the HTTP interface, as the OpenAPI page shows them.

Hazard: a request is validated in the event loop, where an error for each of its items
would hold up everybody else for seconds. So every list has a `max_length` and ends at
its first wrong item (`fail_fast`), and fields and texts are counted before they are
looked at one by one.
"""

import base64
import json
import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from schemas.reports.search import BY_COMMAND, MOST_HITS, SearchRequest
from schemas.rows.document import Vector
from schemas.settings.sections import MOST_INPUTS

# Not \S: JavaScript, whose patterns OpenAPI means, and Python do not agree what white
# space is. This is both.
NOT_BLANK = r"[^\s\u001c-\u001f\u0085\ufeff]"
_SHOWS = re.compile(NOT_BLANK)
Text = Annotated[str, Field(min_length=1, pattern=NOT_BLANK, description="not blank")]


def _whole(value: Any) -> Any:
    """JSON has one kind of number: 5.0 is an integer. Strict validation refuses what is
    none, as `true`.
    """
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
"""A value of a key; more than an index of Postgres takes."""

_MOST_QUERY = 32_768
"""Characters of a query: what a model of 8,192 tokens can use of an English text."""
_MOST_TABLES = 1_000


_ROW: dict[str, JsonValue] = {
    "table": "public.questions",
    "key": ["1"],
    "text": "파이썬의 GIL은 무엇인가요?",
    "similarity": 0.8712,
    "embedded_at": "2026-01-05T09:00:00Z",
    "age_seconds": 86400.0,
    "is_current": True,
}
_FOUND: JsonValue = {
    "query_id": "7b0c4d0e-6d0f-4b55-9a53-0d0f2f1c8a11",
    "models": ["BAAI/bge-m3@5617a9f+1a2b3c4d"],
    "hits": [_ROW],
    "timings": {"embed_seconds": 0.031, "database_seconds": 0.004, "total_seconds": 0.035},
    "coverage": [
        {
            "table": "public.questions",
            "rows": 459,
            "current": 457,
            "unsearched": 2,
            "quarantined": 0,
            "exact": True,
            "coverage": 0.9956,
            "age_seconds": 12.5,
        }
    ],
    "warnings": [
        f"99.5 % of 459 rows of public.questions are covered: 2 are not searched; {BY_COMMAND}"
    ],
}
_MODEL: dict[str, JsonValue] = {
    "id": "BAAI/bge-m3",
    "object": "model",
    "created": 1767603600,
    "owned_by": "vectrue",
    "model_id": "BAAI/bge-m3@5617a9f+1a2b3c4d",
    "dimensions": 1024,
}
_SCORED: JsonValue = {
    "similarity": 0.8712,
    "score": 87.12,
    "grade": "excellent",
    "message": "우수한 답변입니다",
    "model": "BAAI/bge-m3@5617a9f+1a2b3c4d",
    "thresholds": {"excellent": 0.85, "good": 0.7},
    "calibrated": True,
    "reference": _ROW,
}


class _Body(BaseModel):
    # strict: `true` is no number, and "5" is none either. python-re: patterns that a
    # test can run as well.
    model_config = ConfigDict(
        extra="forbid", strict=True, regex_engine="python-re", hide_input_in_errors=True
    )

    @model_validator(mode="before")
    @classmethod
    def _few_fields(cls, value: Any) -> Any:
        if isinstance(value, dict) and len(value) > (most := len(cls.model_fields)):
            number = {"number": len(value), "most": most}
            raise PydanticCustomError(
                "fields", "there are {number} fields, and {most} at most", number
            )
        return value


class EmbeddingsRequest(_Body):
    """A request of OpenAI's embeddings endpoint, and `input_type`."""

    input: (
        Text | Annotated[list[Text], Field(min_length=1, max_length=MOST_INPUTS, fail_fast=True)]
    ) = Field(
        description="a text or a list of texts; token arrays are refused",
        examples=["파이썬의 GIL은 무엇인가요?"],
    )
    model: str = Field(description="name or id of a model that is served", examples=["BAAI/bge-m3"])
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
        """Name what is wrong and where: of a text or a list of texts pydantic would say
        that it is no text.
        """
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
    """Raises the error of the first item that is no text to embed."""
    if not items:
        raise PydanticCustomError("empty_list", "it is an empty list; send at least one text")
    if len(items) > MOST_INPUTS:
        number = {"number": len(items), "most": MOST_INPUTS}
        raise PydanticCustomError("texts", "there are {number} texts, and {most} at most", number)
    if isinstance(items[0], int | list) and not isinstance(items[0], bool):
        raise PydanticCustomError(
            "tokens",
            "token arrays are not understood, since each model has tokens of its own; send "
            "texts (in LangChain: "
            "check_embedding_ctx_length=False)",
        )
    for place, item in enumerate(items):
        if not isinstance(item, str):
            raise PydanticCustomError(
                "no_text", "item {place} is no text (items count from 0)", {"place": place}
            )
        if not _SHOWS.search(item):
            what = {"place": place, "what": "blank" if item else "empty"}
            raise PydanticCustomError("blank", "item {place} is {what} (items count from 0)", what)


class SearchBody(_Body):
    """What is looked for."""

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
        """The same as the rest of vectrue asks it; without a condition in SQL, which is
        never a stranger's.
        """
        ef_search = None if self.exact else self.ef_search
        return SearchRequest(
            self.query,
            tuple(self.tables),
            self.limit,
            self.min_similarity,
            None,
            self.exact,
            ef_search,
        )


class FoundRow(BaseModel):
    """A row: its key as text, its text now, and whether its vector is of that text
    (`is_current`).
    """

    table: str
    key: list[str]
    text: str
    similarity: float
    embedded_at: datetime | None
    age_seconds: float | None
    is_current: bool


class TimingsBody(BaseModel):
    """Where the time went; that of `embed` includes the wait for a batch."""

    embed_seconds: float
    database_seconds: float
    total_seconds: float


class CoverageBody(BaseModel):
    """How many rows with a text have a vector of it (`current`), and the same as a
    share of them (`coverage`).

    Rows that are `unsearched` have no vector of the model. Not `exact`: scaled up from
    a sample.
    """

    table: str
    rows: int
    current: int
    unsearched: int
    quarantined: int
    exact: bool
    coverage: float | None
    age_seconds: float = Field(description="since this was looked at; not each search looks")


class SearchAnswer(BaseModel):
    """The nearest rows, most similar first; `models` embedded the query and the rows.

    `query_id` is for `/feedback`; null while no query log is kept, or when it could not
    take this search.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [_FOUND]})

    query_id: UUID | None
    models: list[str]
    hits: list[FoundRow]
    timings: TimingsBody
    coverage: list[CoverageBody] | None = Field(description="null while it is not known")
    warnings: list[str] = Field(description="what a reader of the hits ought to know")


class FeedbackBody(_Body):
    """A row that a search found, and whether it was of use."""

    # No UUID: strict validation takes none that is text.
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
    useful: bool = Field(description="the last word on a row of a search counts")


class ScoreByReference(_Body):
    """An answer, and a good one."""

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


class ScoreAnswer(BaseModel):
    """Cosine similarity, the same times 100, and the grade by the model's thresholds."""

    model_config = ConfigDict(json_schema_extra={"examples": [_SCORED]})

    similarity: float
    score: float
    grade: str
    message: str
    model: str
    thresholds: dict[str, float]
    calibrated: bool = Field(description="whether the thresholds were set for this model")
    reference: FoundRow | None


class Usage(BaseModel):
    """Tokens as the model counts them; the lexical stand-in counts words."""

    prompt_tokens: int
    total_tokens: int


class Embedding(BaseModel):
    """One text's vector."""

    object: Literal["embedding"]
    index: int
    embedding: list[float] | str


class EmbeddingsResponse(BaseModel):
    """What OpenAI's embeddings endpoint answers; `model` is the id that vectrue stores
    beside vectors.
    """

    object: Literal["list"]
    data: list[Embedding]
    model: str
    usage: Usage


class ModelBody(BaseModel):
    """A model that is served, as OpenAI describes one, and what its vectors are.

    `id` is what a request calls it; `model_id` is what stands beside its vectors in the
    database; `created` is when this server began, in seconds since 1970.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [_MODEL]})

    id: str
    object: Literal["model"]
    created: int
    owned_by: Literal["vectrue"]
    model_id: str
    dimensions: int


class ModelsAnswer(BaseModel):
    """The models that are served."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"object": "list", "data": [_MODEL]}]}
    )

    object: Literal["list"]
    data: list[ModelBody]


class Health(BaseModel):
    """The answer of the probes."""

    status: Literal["live", "ready"]
    changes: str | None = Field(
        None,
        description="of `/readyz`: `arrive`, or why what a search finds may be older than the rows",
    )


def render_embeddings(vectors: Vector, model: str, tokens: int, encoding: str) -> bytes:
    """An EmbeddingsResponse as JSON.

    Made of pieces, since one call of the encoder for all of them would hold up every
    other thread.

    Args:
        vectors: float32[n, dimensions].
        model: id of the model.
        tokens: of all texts.
        encoding: `float` or `base64`.
    """
    usage = json.dumps({"prompt_tokens": tokens, "total_tokens": tokens})
    head, tail = (
        b'{"object":"list","data":[',
        f'],"model":{json.dumps(model)},"usage":{usage}}}'.encode(),
    )
    return head + b",".join(_embeddings(vectors, encoding)) + tail


def _embeddings(vectors: Sequence[Vector] | Vector, encoding: str) -> Iterator[bytes]:
    for index, vector in enumerate(vectors):
        if encoding == "base64":
            numbers = f'"{base64.b64encode(vector.astype("<f4").tobytes()).decode()}"'
        else:
            numbers = json.dumps(vector.tolist())
        yield f'{{"object":"embedding","index":{index},"embedding":{numbers}}}'.encode()
