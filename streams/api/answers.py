"""Answers of the HTTP interface, as the OpenAPI page shows them, with examples."""

import base64
import json
from collections.abc import Iterator
from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from schemas.reports.search import BY_COMMAND
from schemas.rows.document import Vector

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


class FoundRow(BaseModel):
    """A row: its key as text, its text now, and whether its vector was made from that
    text (`is_current`).
    """

    table: str
    key: list[str]
    text: str
    similarity: float
    embedded_at: datetime | None
    age_seconds: float | None
    is_current: bool


class TimingsBody(BaseModel):
    """Where the time went; `embed_seconds` includes the wait for a batch."""

    embed_seconds: float
    database_seconds: float
    total_seconds: float


class CoverageBody(BaseModel):
    """How many rows with a text have a vector of it (`current`), also as a share of them
    (`coverage`).

    Rows that are `unsearched` have no vector of the model. If not `exact`, the figures
    are scaled up from a sample.
    """

    table: str
    rows: int
    current: int
    unsearched: int
    quarantined: int
    exact: bool
    coverage: float | None
    age_seconds: float = Field(description="since this was counted; not every search counts")


class SearchAnswer(BaseModel):
    """The nearest rows, most similar first; `models` embedded the query and the rows.

    `query_id` is for `/feedback`; null if no query log is kept, or if it could not take
    this search.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [_FOUND]})

    query_id: UUID | None
    models: list[str]
    hits: list[FoundRow]
    timings: TimingsBody
    coverage: list[CoverageBody] | None = Field(description="null while it is not known")
    warnings: list[str] = Field(description="what a reader of the hits should know")


class ScoreAnswer(BaseModel):
    """Cosine similarity, also times 100, and the grade by the model's thresholds."""

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
    """The answer of OpenAI's embeddings endpoint; `model` is the id that vectrue stores
    with vectors.
    """

    object: Literal["list"]
    data: list[Embedding]
    model: str
    usage: Usage


class ModelBody(BaseModel):
    """A served model as OpenAI describes one, with what its vectors are.

    `id` is its name in a request; `model_id` is stored with its vectors in the database;
    `created` is when this server started, in seconds since 1970.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [_MODEL]})

    id: str
    object: Literal["model"]
    created: int
    owned_by: Literal["vectrue"]
    model_id: str
    dimensions: int


class ModelsAnswer(BaseModel):
    """The served models."""

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
        description="of `/readyz`: `arrive`, or why search results may be older than the rows",
    )


def render_embeddings(vectors: Vector, model: str, tokens: int, encoding: str) -> bytes:
    """Render an EmbeddingsResponse as JSON.

    Args:
        vectors: float32[n, dimensions].
        model: id of the model.
        tokens: of all texts.
        encoding: `float` or `base64`.
    """
    usage = json.dumps({"prompt_tokens": tokens, "total_tokens": tokens})
    head = b'{"object":"list","data":['
    tail = f'],"model":{json.dumps(model)},"usage":{usage}}}'.encode()
    # Vector by vector, since one call of the encoder would block every other thread.
    return head + b",".join(_embeddings(vectors, encoding)) + tail


def _embeddings(vectors: Vector, encoding: str) -> Iterator[bytes]:
    for index, vector in enumerate(vectors):
        if encoding == "base64":
            numbers = f'"{base64.b64encode(vector.astype("<f4").tobytes()).decode()}"'
        else:
            numbers = json.dumps(vector.tolist())
        yield f'{{"object":"embedding","index":{index},"embedding":{numbers}}}'.encode()
