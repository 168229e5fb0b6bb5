"""One replay message: which rows of which column to make true, and for which run.

A chunk carries keys, never text. Progress is kept in the ledger in Postgres, never in
the topic: a chunk that is delivered twice counts once. The ledger also says which keys
a chunk has; the message only says which chunk it is. A deferred row travels as a chunk
of one key without a run, through a topic of its own, so that it never queues behind a
full replay.

    {"run": "…", "chunk": 17, "table": "public.questions", "column": "embedding",
    "model": "…", "keys": [[1], [2]]}
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StrictInt,
    StrictStr,
    ValidationError,
)

from schemas.errors import ConfigurationError, PoisonEvent, VectrueError
from schemas.rows.table import Key, TableName, key_part
from schemas.rows.target import Target

_INTEGER = re.compile(r"-?[0-9]{1,20}")
_LARGEST_CHUNK = 2**31 - 1  # the ledger's column is an integer
# centuries, at most one look in 30 s; a message's own number may have thousands of
# digits
_MOST_ATTEMPTS = 10**9


class LedgerConflict(VectrueError):
    """The ledger of the chunk moved while it was in hand: another worker has it too."""


@dataclass(frozen=True, slots=True)
class Deferral:
    """Why and since when a single row waits.

    `since` is when it was first deferred; `not_before` the earliest next look; `txids`
    the transactions whose work has to be visible first (empty for a row that was
    locked).
    """

    since: datetime
    not_before: datetime
    attempt: int
    txids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Chunk:
    """Keys of one column to look at. `run` is None for a deferred row."""

    table: TableName
    column: str
    model: str
    keys: tuple[Key, ...]
    run: UUID | None = None
    number: int = 0
    deferral: Deferral | None = None

    @property
    def name(self) -> str:
        """`run/number`, or the row of a deferral, for messages."""
        return (
            f"deferred row {self.keys[0]} of {self.table}"
            if self.run is None
            else f"chunk {self.run}/{self.number}"
        )

    @classmethod
    def parse(cls, value: bytes | None) -> Self:
        """Read a replay message.

        Raises:
            PoisonEvent: it is not one.
        """
        if value is None:
            raise PoisonEvent("a replay message has no value")
        try:
            message = _Message.model_validate_json(value)
            table = TableName.parse(message.table)
        except (ValidationError, ConfigurationError) as error:
            raise PoisonEvent(f"this is not a replay message ({_first_line(error)})") from error
        keys = tuple(tuple(key_part(part) for part in key) for key in message.keys)
        deferral = Deferral(**message.deferral.model_dump()) if message.deferral else None
        return cls(table, message.column, message.model, keys, message.run, message.chunk, deferral)

    def encode(self, target: Target | None = None) -> bytes:
        """Write the message as JSON; integer key columns of `target` become JSON
        numbers.

        A key of before the table's key was changed goes out as the text that it is.
        """
        integer = [c.is_integer for c in target.key] if target else []
        keys = [
            [_part(p, i < len(integer) and integer[i]) for i, p in enumerate(key)]
            for key in self.keys
        ]
        message = _Message(
            run=self.run,
            chunk=self.number,
            table=str(self.table),
            column=self.column,
            model=self.model,
            keys=keys,
            deferral=_Deferral(**_fields(self.deferral)) if self.deferral else None,
        )
        return message.model_dump_json(exclude_none=True).encode()


@dataclass(frozen=True, slots=True)
class ChunkAdvance:
    """An advance of a chunk in the ledger, made in the transaction that writes the
    vectors.

    The chunk stands at `start` keys; `handled` more are done with this write. The
    counts tell what they were found to be before the write; what was written, or found
    changed or locked, is counted by the write itself. `failed` rows are in the
    dead-letter topic; `obsolete` ones were asked for with a model that is no longer
    wanted. `seconds` is the time that the worker spent on them.
    """

    run: UUID
    number: int
    start: int
    handled: int
    current: int = 0
    blank: int = 0
    gone: int = 0
    quarantined: int = 0
    failed: int = 0
    obsolete: int = 0
    seconds: float = 0.0


def deal(keys: Sequence[Key], size: int) -> list[tuple[Key, ...]]:
    """Keys dealt out like cards, one to each chunk in turn, so that neighbours in the
    table are in different chunks.

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


class _Deferral(BaseModel):
    """A newer version's field may be one more thing to wait for: what is not known is
    refused, never passed over.
    """

    model_config = ConfigDict(extra="forbid")

    since: AwareDatetime
    not_before: AwareDatetime
    attempt: int = Field(ge=1, le=_MOST_ATTEMPTS)
    txids: tuple[Annotated[int, Field(ge=0, lt=2**64)], ...] = ()


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid")

    run: UUID | None = None
    chunk: int = Field(ge=0, le=_LARGEST_CHUNK)
    table: str
    column: str = Field(min_length=1)
    model: str = Field(min_length=1)
    keys: list[Annotated[list[StrictInt | StrictStr], Field(min_length=1)]] = Field(min_length=1)
    deferral: _Deferral | None = None


def _part(part: str, is_integer: bool) -> int | str:
    return int(part) if is_integer and _INTEGER.fullmatch(part) else part


def _fields(deferral: Deferral) -> dict[str, object]:
    return {name: getattr(deferral, name) for name in ("since", "not_before", "attempt", "txids")}


def _first_line(error: Exception) -> str:
    if isinstance(error, ValidationError):
        item = error.errors(include_url=False, include_input=False)[0]
        return f"{'.'.join(map(str, item['loc'])) or 'value'}: {item['msg']}"
    return str(error)
