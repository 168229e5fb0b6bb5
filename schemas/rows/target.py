"""Target: one vector column of one table and what "current" means for it."""

from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Self

from schemas.rows.table import TableName


@dataclass(frozen=True, slots=True)
class KeyColumn:
    """A column of the primary key.

    `type` is as `format_type` prints it (`bigint`, `uuid`), `category` is
    pg_type.typcategory; a domain has that of its base type.
    """

    name: str
    type: str
    category: str = ""

    @property
    def is_integer(self) -> bool:
        """Whether its values are JSON numbers in a replay message."""
        return self.type in ("smallint", "integer", "bigint")


@dataclass(frozen=True, slots=True)
class Target:
    """A vector column, the text it describes and the model that must have made it.

    `text` is a SQL expression over the table's columns. `model` is the model id stored
    beside each vector. In a query about a `guarded` target, a row whose text raises an
    error is unreadable, and the others are what they are; over a cheap text that takes
    five to seven times as long (docs/measurements.md has the figures).
    """

    table: TableName
    column: str
    text: str
    key: tuple[KeyColumn, ...]
    model: str
    dimensions: int
    guarded: bool = False

    @property
    def text_digest(self) -> bytes:
        """What the text expression is known by: the first 12 bytes of its sha256."""
        # A NUL cannot be part of a name, so no two pairs are joined to the same bytes.
        return sha256(f"{self.table}\0{self.text}".encode()).digest()[:12]

    @property
    def text_function(self) -> str:
        """Name of the function that evaluates the text of one row.

        It is in the schema vectrue and tells what the text raises.
        """
        return f"text_{self.text_digest.hex()}"

    def guard(self) -> Self:
        """The same, guarded."""
        return replace(self, guarded=True)

    @property
    def name(self) -> str:
        """`schema.table.column`, for messages."""
        return f"{self.table}.{self.column}"

    @property
    def hash_column(self) -> str:
        """Column with the sha256 of the text that the vector was made from."""
        return f"{self.column}_hash"

    @property
    def model_column(self) -> str:
        """Column with the id of the model that made the vector."""
        return f"{self.column}_model"

    @property
    def digest_column(self) -> str:
        """Column with the digest of the vector as it was written.

        Another vector was not made from the text.
        """
        return f"{self.column}_digest"

    @property
    def provenance(self) -> tuple[str, str, str, str]:
        """The columns beside the vector, which a worker writes with it."""
        return self.hash_column, self.model_column, self.time_column, self.digest_column

    @property
    def time_column(self) -> str:
        """Column with the time the vector was written."""
        return embedded_at(self.column)


def embedded_at(column: str) -> str:
    """Name of the time column: `embedded_at` for `embedding`, else `<column>_at`."""
    return "embedded_at" if column == "embedding" else f"{column}_at"
