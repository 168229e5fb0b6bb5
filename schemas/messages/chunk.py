"""The messages of the replay and deferred topics: rows of a column to look at.

A chunk belongs to a replay run. It carries keys, never text. Progress is kept in the
ledger in Postgres, never in the topic: a chunk that is delivered twice counts once. The
ledger also says which keys a chunk has; the message only says which chunk it is.

    {"run": "…", "chunk": 17, "table": "public.questions", "column": "embedding",
    "model": "…", "keys": [[1], [2]]}

A deferred row belongs to no run. It travels through a topic of its own, so that it
never queues behind a full replay.

    {"chunk": 0, "table": "public.questions", "column": "embedding", "model": "…",
    "keys": [[1]], "deferral": {"since": "…", "not_before": "…", "attempt": 1,
    "txids": [500]}}

Hazard: anyone who may write to the topics can send anything. A message is read
strictly, and what is not known in it is refused: a field of a newer version may be one
more thing to wait for.
"""

import re
from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import (
    AwareDatetime,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    PlainSerializer,
    Tag,
    TypeAdapter,
    ValidationError,
)
from pydantic.dataclasses import dataclass
from pydantic_core import to_json

from schemas.errors import ConfigurationError, PoisonEvent
from schemas.rows.table import Key, TableName, key_part
from schemas.rows.target import KeyColumn, Target

_INTEGER = re.compile(r"-?[0-9]{1,20}")
# The ledger's column is an integer.
_LARGEST_CHUNK = 2**31 - 1
# Centuries, at one look in 30 s. The number in a message may have thousands of digits.
_MOST_ATTEMPTS = 10**9


def _table_name(value: object) -> TableName:
    if isinstance(value, TableName):
        return value
    if not isinstance(value, str):
        raise ValueError("a table name is text")
    try:
        return TableName.parse(value)
    except ConfigurationError as error:
        raise ValueError(str(error)) from error


def _key_text(value: object) -> str:
    # A bool is an int in Python.
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError("a part of a key is an integer or text")
    return key_part(value)


_Table = Annotated[TableName, BeforeValidator(_table_name), PlainSerializer(str)]
_Name = Annotated[str, Field(min_length=1)]
_Key = Annotated[tuple[Annotated[str, BeforeValidator(_key_text)], ...], Field(min_length=1)]
_STRICT = ConfigDict(extra="forbid", populate_by_name=True)


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class Deferral:
    """Why and since when a single row waits.

    Attributes:
        since: when the row was first deferred.
        not_before: the earliest next look.
        attempt: how many times it has been deferred.
        txids: the transactions whose work has to be visible first; empty for a row that
            was locked.
    """

    since: AwareDatetime
    not_before: AwareDatetime
    attempt: Annotated[int, Field(ge=1, le=_MOST_ATTEMPTS)]
    txids: tuple[Annotated[int, Field(ge=0, lt=2**64)], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class Chunk:
    """Keys of one column to look at, for a replay run. `number` is `chunk` in JSON."""

    run: UUID
    number: Annotated[int, Field(ge=0, le=_LARGEST_CHUNK, alias="chunk")]
    table: _Table
    column: _Name
    model: _Name
    keys: Annotated[tuple[_Key, ...], Field(min_length=1)]

    @property
    def name(self) -> str:
        """`chunk run/number`, for messages."""
        return f"chunk {self.run}/{self.number}"

    def encode(self, key: Sequence[KeyColumn] = ()) -> bytes:
        """Write the message as JSON; integer key columns become JSON numbers.

        Args:
            key: the primary key of the table, where it is known.
        """
        return _encode(self, key)


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class DeferredRow:
    """A row to look at later.

    It was locked, or changed by a transaction that is not visible yet.

    `keys` holds its one key, and `chunk` is 0: both messages have these fields.
    """

    chunk: Literal[0] = 0
    table: _Table
    column: _Name
    model: _Name
    keys: tuple[_Key]
    deferral: Deferral

    @classmethod
    def of(cls, target: Target, key: Key, deferral: Deferral) -> Self:
        """Make the message for one row of a target."""
        return cls(
            table=target.table,
            column=target.column,
            model=target.model,
            keys=(key,),
            deferral=deferral,
        )

    @property
    def key(self) -> Key:
        """The primary key of the row."""
        return self.keys[0]

    @property
    def name(self) -> str:
        """The row, for messages."""
        return f"deferred row {self.key} of {self.table}"

    def encode(self, key: Sequence[KeyColumn] = ()) -> bytes:
        """Write the message as JSON; integer key columns become JSON numbers.

        Args:
            key: the primary key of the table, where it is known.
        """
        return _encode(self, key)


def read_message(value: bytes | None) -> Chunk | DeferredRow:
    """Read a message of the replay topic or of the deferred topic.

    Raises:
        PoisonEvent: it is neither a chunk nor a deferred row.
    """
    if value is None:
        raise PoisonEvent("a replay message has no value")
    try:
        return _MESSAGE.validate_json(value)
    except ValidationError as error:
        raise PoisonEvent(f"this is not a replay message ({_problem(error)})") from error


def deal(keys: Sequence[Key], size: int) -> list[tuple[Key, ...]]:
    """Deal keys out like cards: neighbours in the table get different chunks.

    An update whose new version fits into its row's page enters nothing into the table's
    indexes (HOT), and what leaves room there is the old version of another row of that
    page, once its transaction has ended. Neighbours in one transaction leave each other
    none. Measured on a column beside one with an HNSW index: docs/measurements.md.

    Args:
        keys: a page of them, in the order of the primary key.
        size: most keys in a chunk.
    """
    count = -(-len(keys) // size)
    return [tuple(keys[number::count]) for number in range(count)]


def _kind(message: object) -> str:
    if isinstance(message, dict):
        return "row" if "deferral" in message else "chunk"
    return "row" if isinstance(message, DeferredRow) else "chunk"


_MESSAGE: TypeAdapter[Chunk | DeferredRow] = TypeAdapter(
    Annotated[
        Annotated[Chunk, Tag("chunk")] | Annotated[DeferredRow, Tag("row")],
        Discriminator(_kind),
    ]
)


def _encode(message: Chunk | DeferredRow, key: Sequence[KeyColumn]) -> bytes:
    data: dict[str, Any] = _MESSAGE.dump_python(message, mode="json", by_alias=True)
    data["keys"] = [_json_key(parts, key) for parts in message.keys]
    return to_json(data)


def _json_key(parts: Key, columns: Sequence[KeyColumn]) -> list[int | str]:
    # The key may have had other columns when the message was made: its parts then go
    # out as the text that they are.
    encoded: list[int | str] = list(parts)
    for i, column in enumerate(columns[: len(parts)]):
        if column.is_integer and _INTEGER.fullmatch(parts[i]):
            encoded[i] = int(parts[i])
    return encoded


def _problem(error: ValidationError) -> str:
    item = error.errors(include_url=False, include_input=False)[0]
    # The first part is the kind of message.
    place = ".".join(str(part) for part in item["loc"][1:]) or "value"
    return f"{place}: {item['msg']}"
