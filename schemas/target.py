"""Target: one vector column of one table and what "current" means for it."""

from dataclasses import dataclass

from schemas.table import TableName


@dataclass(frozen=True, slots=True)
class KeyColumn:
    """A column of the primary key: its name, its SQL type as `format_type` prints it (`bigint`, `uuid`), and the
    type's category (pg_type.typcategory; a domain has that of its base type).
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

    `text` is a SQL expression over the table's columns. `model` is the model id stored beside each vector.
    """

    table: TableName
    column: str
    text: str
    key: tuple[KeyColumn, ...]
    model: str
    dimensions: int

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
    def time_column(self) -> str:
        """Column with the time the vector was written."""
        return embedded_at(self.column)


def embedded_at(column: str) -> str:
    """Name of the time column beside a vector column: `embedded_at` for `embedding`, else `<column>_at`."""
    return "embedded_at" if column == "embedding" else f"{column}_at"
