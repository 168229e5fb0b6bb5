"""A Debezium record, read down to a hint: "row X of table T may have changed".

That is the one thing it is trusted for.

JSON, with or without Connect's `{schema, payload}` wrapper, from our key-only connector
or from one that publishes whole rows. Every other field of the envelope is ignored: the
worker reads the row itself.

Hazard: after a primary-key change Debezium sends a delete of the old key and a create
of the new one, so a delete needs no work, but it must not be taken for an error either.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, cast

from pydantic_core import from_json

from schemas.errors import PoisonEvent
from schemas.messages.record import Record
from schemas.rows.table import Key, TableName, key_part

Op = Literal["c", "u", "d", "r", "t", "m"]
_OPS = ("c", "u", "d", "r", "t", "m")
_ROW_OPS = ("c", "u", "r")
# Year 9999, the end of Python's datetime.
_LARGEST_TIME_MS = 253_402_300_799_000


@dataclass(frozen=True, slots=True)
class Change:
    """A row that may have changed.

    Attributes:
        table: where it is.
        op: c create, u update, r read by a snapshot (d, t and m touch no row whose text
            could be read).
        fields: column values by name as JSON gave them; the primary key is among them.
        committed_at: commit time in the database's clock; None when the envelope has
            none.
        txid: 32-bit id of the transaction; None for snapshot rows.
        origin: replication origin that the transaction was labelled with.
    """

    table: TableName
    op: Op
    fields: Mapping[str, Any]
    committed_at: datetime | None
    txid: int | None
    origin: str | None = None

    @property
    def touches_row(self) -> bool:
        """Whether there is a row to look at."""
        return self.op in _ROW_OPS

    def key(self, columns: Sequence[str]) -> Key:
        """Values of the key columns as text, in that order.

        Raises:
            PoisonEvent: a key column is missing, NULL, or not a plain value.
        """
        return tuple(self._text(name) for name in columns)

    def _text(self, name: str) -> str:
        value = self.fields.get(name)
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, int | float | str):
            return key_part(value)
        raise PoisonEvent(
            f"an event of table {self.table} has no usable value for key column {name!r}"
        )


def parse(key: bytes | None, value: bytes | None) -> Change | None:
    """Read one record of a change topic.

    Args:
        key: the record's key, JSON; columns found here win over those of the value.
        value: the envelope, JSON; None for a tombstone.

    Returns:
        the change, or None for a tombstone.

    Raises:
        PoisonEvent: it is not a Debezium envelope; the message says what is missing.
    """
    if value is None:
        return None
    envelope = _payload(_object(value, "value"))
    source = envelope.get("source")
    op = envelope.get("op")
    if op not in _OPS or not isinstance(source, dict):
        raise PoisonEvent("the value is not a Debezium envelope: it has no op and source")
    # A logical message (pg_logical_emit_message) is about no table.
    if op == "m":
        return Change(TableName("", ""), op, {}, _time(source), _int(source.get("txId")))
    return Change(
        _table(source),
        cast("Op", op),
        _fields(key, envelope.get("before" if op == "d" else "after")),
        _time(source),
        _int(source.get("txId")),
        _origin(op, source),
    )


def _table(source: Mapping[str, Any]) -> TableName:
    schema, table = source.get("schema"), source.get("table")
    if not (isinstance(schema, str) and isinstance(table, str) and schema and table):
        raise PoisonEvent("the envelope's source names no schema and table")
    return TableName(schema, table)


def _fields(key: bytes | None, row: object) -> dict[str, Any]:
    fields = dict(row) if isinstance(row, dict) else {}
    if key is not None:
        fields.update(_payload(_object(key, "key")))
    return fields


def _origin(op: str, source: Mapping[str, Any]) -> str | None:
    # A snapshot row between transactions may carry the origin of the transaction before
    # it (knowledge of Debezium 3.5+): the label counts for streamed changes only.
    streamed = op != "r" and source.get("snapshot") in (None, False, "false")
    origin = source.get("origin") if streamed else None
    return origin if isinstance(origin, str) else None


def handled_at(value: bytes | None) -> datetime | None:
    """When the connector had the event, by its own clock; None when it is not said.

    Raises:
        PoisonEvent: it is not a JSON object.
    """
    return None if value is None else _time(_payload(_object(value, "value")))


def appended_at(record: Record) -> datetime | None:
    """The record's own time, by the producer's or the broker's clock; None without one."""
    return _moment(record.timestamp_ms)


def _object(data: bytes, what: str) -> dict[str, Any]:
    try:
        parsed = from_json(data)
    except ValueError as error:
        raise PoisonEvent(f"the {what} is not JSON ({str(error)[:120]})") from error
    if not isinstance(parsed, dict):
        raise PoisonEvent(f"the {what} is not a JSON object")
    return parsed


def _payload(outer: dict[str, Any]) -> dict[str, Any]:
    # A table may have columns of these names among others; the wrapper has these two alone.
    if outer.keys() == {"schema", "payload"}:
        inner = outer["payload"]
        if not isinstance(inner, dict):
            raise PoisonEvent("the payload is not a JSON object")
        return inner
    return outer


def _int(value: object) -> int | None:
    return (
        value
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 64
        else None
    )


def _time(source: Mapping[str, object]) -> datetime | None:
    return _moment(_int(source.get("ts_ms")))


def _moment(ms: int | None) -> datetime | None:
    return (
        datetime.fromtimestamp(ms / 1000, UTC)
        if ms is not None and 0 < ms <= _LARGEST_TIME_MS
        else None
    )
