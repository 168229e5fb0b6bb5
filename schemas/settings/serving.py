"""What answers with vectors: the HTTP server, judged queries and scores.

Hazard: `serve.token` and `serve.query_log_secret` are secrets: they are shown only
through `Settings.masked()`.
"""

from typing import Literal, Self

from pydantic import (
    Field,
    SecretStr,
    field_validator,
    model_validator,
)

from schemas.errors import ConfigurationError
from schemas.rows.table import TableName
from schemas.settings.section import Section


class GradeSettings(Section):
    """Similarities above which an answer is good, or excellent.

    The defaults are meant for bge-m3.
    """

    good: float = Field(0.70, ge=-1, le=1)
    excellent: float = Field(0.85, ge=-1, le=1)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.good > self.excellent:
            raise ValueError("good must not be above excellent")
        return self


class ScoreSettings(Section):
    """Answers compared with reference answers."""

    table: str = Field(
        "public.answer_bank", description="table of the stored answers, one of [[tables]]"
    )
    question: str = Field(
        "question_id", min_length=1, description="its column with the key of the question"
    )
    where: str | None = Field(
        None, description="SQL condition: which stored answers are references; all when unset"
    )
    grades: dict[str, GradeSettings] = Field(
        default_factory=dict,
        description=(
            "by name of the model, similarities above which an answer is `good` (0.70"
            " for a model without an entry) and `excellent` (0.85); `vectrue score "
            "calibrate` proposes them"
        ),
    )


class ServeSettings(Section):
    """The HTTP server."""

    host: str = Field(
        "127.0.0.1",
        min_length=1,
        description="address to listen on; beyond loopback a token is needed",
    )
    port: int = Field(8000, ge=1, le=65535, description="port to listen on")
    token: SecretStr | None = Field(
        None,
        description=(
            "what clients send as `Authorization: Bearer`: 16 printable characters or"
            " more; set it by variable"
        ),
    )
    linger_ms: float = Field(
        5.0, ge=0, description="longest wait of a text for others to share its model batch"
    )
    batch_size: int = Field(32, ge=1, description="most texts in a model batch; 1: each by itself")
    queue: int = Field(
        256,
        ge=1,
        description="most requests in hand; the next one is answered 503 with Retry-After",
    )
    request_seconds: float = Field(
        30.0, gt=0, description="a request that takes longer is answered 504"
    )
    max_body_bytes: int = Field(1_048_576, ge=1024, description="a larger request is answered 413")
    database_connections: int = Field(
        4, ge=1, le=64, description="connections to Postgres, a thread each"
    )
    coverage_seconds: float = Field(
        60.0,
        gt=0,
        description=(
            "between two looks at how much of a table a search can find; beside the requests"
        ),
    )
    query_log: Literal["off", "hashed", "text"] = Field(
        "off",
        description=(
            "keep searches in `vectrue.queries`: what was found, and the query's HMAC or its text"
        ),
    )
    query_log_days: float = Field(
        30.0, gt=0, description="a logged search is deleted after so long"
    )
    query_log_secret: SecretStr | None = Field(
        None,
        description=(
            "key of the HMAC, written as `token` is; unset: made at each start, so "
            "that equal queries are recognised only until the server ends"
        ),
    )

    @field_validator("token", "query_log_secret")
    @classmethod
    def _secret(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None:
            return None
        secret = value.get_secret_value()
        # A bearer token is one word of ASCII in a header (RFC 6750).
        if len(secret) < 16 or not secret.isascii() or not secret.isprintable() or " " in secret:
            raise ValueError(
                "use 16 or more printable ASCII characters without spaces, as of `openssl rand "
                "-hex 32`"
            )
        return value


class QualitySettings(Section):
    """Judged queries that `serve` asks again and again, as a user would."""

    queries: dict[str, str] = Field(
        default_factory=dict,
        description=(
            "file of judged queries by the table that their keys are of, as in "
            '`"public.questions" = "queries.jsonl"`; off when empty'
        ),
    )
    every_seconds: float = Field(
        3600.0,
        gt=0,
        description="how often they are asked; also at once when another model is served",
    )

    @field_validator("queries")
    @classmethod
    def _tables(cls, value: dict[str, str]) -> dict[str, str]:
        parsed: dict[str, str] = {}
        for name, file in value.items():
            try:
                parsed[str(TableName.parse(name))] = file
            except ConfigurationError as error:
                # pydantic reports a ValueError with the setting's name.
                raise ValueError(str(error)) from error
        return parsed
