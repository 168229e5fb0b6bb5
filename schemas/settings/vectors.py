"""What is embedded, and by which model.

Hazard: `model.low_memory` sets `max_tokens` where it is unset, which is another model
id for a model that takes more.
"""

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import (
    Field,
    ValidationInfo,
    field_validator,
)

from schemas.errors import ConfigurationError
from schemas.rows.table import TableName
from schemas.settings.section import Section

LOW_MEMORY_TEXTS = 8


LOW_MEMORY_TOKENS = 512
"""What `model.low_memory` sets: 8 texts of 512 tokens take 0.2 GB beside bge-m3's
weights, 32 of 8,192 take 13 GB.
"""


class ModelSettings(Section):
    """Which model makes the vectors.

    Hazard: `low_memory` sets `max_tokens` where it is unset, which is another model id
    for a model that takes more: all vectors are then stale, and a worker with the other
    setting writes nothing. Precision and batch size change no id.
    """

    name: str = Field(
        "BAAI/bge-m3",
        description="sentence-transformers name or folder; multilingual-e5-small; lexical",
    )
    revision: str | None = Field(
        None, description="commit of the model's repository; pinned for known models"
    )
    dimensions: int = Field(
        # A `vector` of pgvector has 16,000 dimensions at most.
        1024,
        ge=1,
        le=16_000,
        description="length of a vector, equal to the column's vector(N)",
    )
    device: str = Field("auto", description="auto, cpu, cuda, mps")
    low_memory: bool = Field(
        False,
        description=(
            "at most 8 texts per forward pass, dtype bfloat16 and max_tokens 512, the"
            " last two where they are unset; another max_tokens is another model id"
        ),
    )
    dtype: Literal["auto", "float32", "bfloat16"] = Field(
        "auto",
        validate_default=True,
        description="precision of the network; auto: bfloat16 on a GPU that has it",
    )
    max_tokens: int | None = Field(
        None,
        ge=8,
        validate_default=True,
        description="longer texts are cut there; the model's own limit when unset",
    )
    batch_size: int = Field(32, ge=1, validate_default=True, description="texts per forward pass")
    threads: int | None = Field(
        None, ge=1, description="CPU threads of the model; PyTorch decides when unset"
    )

    @property
    def opening(self) -> dict[str, Any]:
        """What opens the model, whatever other settings a machine has."""
        return self.model_dump(include={"name", "revision", "dimensions", "max_tokens"})

    def opened_as(self, opening: Mapping[str, Any]) -> Self:
        """Return these settings for another model.

        Args:
            opening: of that model, as it was recorded; empty: no other model.
        """
        # Not validated again: low_memory would set max_tokens, which is another id.
        return self.model_copy(update=dict(opening))

    # low_memory stands above the three fields, so that it is known when they are looked
    # at.
    @field_validator("dtype")
    @classmethod
    def _little_dtype(cls, value: str, info: ValidationInfo) -> str:
        return "bfloat16" if value == "auto" and info.data.get("low_memory") else value

    @field_validator("max_tokens")
    @classmethod
    def _little_max_tokens(cls, value: int | None, info: ValidationInfo) -> int | None:
        return LOW_MEMORY_TOKENS if value is None and info.data.get("low_memory") else value

    @field_validator("batch_size")
    @classmethod
    def _little_batch_size(cls, value: int, info: ValidationInfo) -> int:
        return min(value, LOW_MEMORY_TEXTS) if info.data.get("low_memory") else value


class TableSettings(Section):
    """One table to keep in step."""

    name: str = Field(description="schema.table")
    text: str = Field(
        min_length=1, description="SQL expression over the table's columns: what is embedded"
    )
    column: str = Field("embedding", min_length=1, description="the pgvector column")

    @field_validator("name")
    @classmethod
    def _name(cls, value: str) -> str:
        try:
            return str(TableName.parse(value))
        except ConfigurationError as error:
            raise ValueError(str(error)) from error

    @property
    def table(self) -> TableName:
        """The name, parsed."""
        return TableName.parse(self.name)
