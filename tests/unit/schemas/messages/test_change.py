"""Reading Debezium records."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import PoisonEvent
from schemas.messages.change import Change, parse
from schemas.rows.table import TableName

SOURCE = {
    "schema": "public",
    "table": "questions",
    "ts_ms": 1767225600123,
    "txId": 77,
    "snapshot": "false",
}


def envelope(**fields: Any) -> bytes:
    return json.dumps(
        {"op": "u", "before": None, "after": {"id": 1}, "source": SOURCE, **fields}
    ).encode()


def read(key: bytes | None, value: bytes | None) -> Change:
    change = parse(key, value)
    assert change is not None
    return change


def test_a_key_only_event_names_table_key_and_transaction() -> None:
    """The envelope of our own connector is read down to table, key, commit time and
    transaction id.
    """
    change = read(b'{"id": 1}', envelope())
    assert change.table == TableName("public", "questions")
    assert change.key(["id"]) == ("1",)
    assert change.committed_at == datetime(2026, 1, 1, 0, 0, 0, 123000, tzinfo=UTC)
    assert (change.txid, change.touches_row) == (77, True)


def test_the_schema_wrapper_is_accepted() -> None:
    """With schemas.enable=true key and value come wrapped in {schema, payload}; both
    forms read the same.
    """
    wrapped = json.dumps({"schema": {}, "payload": json.loads(envelope())}).encode()
    assert parse(b'{"schema": {}, "payload": {"id": 1}}', wrapped) == parse(
        b'{"id": 1}', envelope()
    )


def test_a_whole_row_event_gives_its_key_without_a_record_key() -> None:
    """A topic with whole rows and no record keys works: the key columns are taken from
    the row.
    """
    assert read(None, envelope(after={"id": 5, "question": "x"})).key(["id"]) == ("5",)


def test_a_composite_key_keeps_the_order_of_the_primary_key() -> None:
    """Key values come in the order asked for, each as text."""
    change = read(b'{"b": "x", "a": 7, "c": true}', envelope())
    assert change.key(["a", "b", "c"]) == ("7", "x", "true")


@pytest.mark.parametrize("value", [None])
def test_a_tombstone_is_nothing(value: bytes | None) -> None:
    """A record without a value is no change."""
    assert parse(b'{"id": 1}', value) is None


@pytest.mark.parametrize("op", ["d", "t"])
def test_deletes_and_truncates_touch_no_row(op: str) -> None:
    """There is no row to look at after a delete or a truncate; they are known and need
    nothing.
    """
    assert not read(b'{"id": 1}', envelope(op=op, before={"id": 1}, after=None)).touches_row


def test_the_origin_counts_for_streamed_changes_only() -> None:
    """A snapshot row may carry the origin of the transaction before it, so its label is
    not believed.
    """
    labelled = {**SOURCE, "origin": "vectrue_0"}
    assert read(b'{"id": 1}', envelope(source=labelled)).origin == "vectrue_0"
    assert read(b'{"id": 1}', envelope(source=labelled, op="r")).origin is None
    assert (
        read(b'{"id": 1}', envelope(source={**labelled, "snapshot": "incremental"})).origin is None
    )


BAD = [
    b"",
    b"{",
    b"null",
    b"[]",
    b"17",
    b'"text"',
    b"\xff\xfe",
    b'{"op": "u"}',
    b'{"source": {}}',
    b'{"op": "x", "source": {"schema": "a", "table": "b"}}',
    b'{"op": "u", "source": {"schema": 1, "table": "b"}}',
    b'{"op": "u", "source": {"table": "b"}}',
    b'{"schema": {}, "payload": null}',
    b'{"op": ["u"], "source": {}}',
]


@pytest.mark.parametrize("value", BAD)
def test_anything_else_is_poison(value: bytes) -> None:
    """What is no envelope raises PoisonEvent with a reason, never another exception."""
    with pytest.raises(PoisonEvent):
        parse(b'{"id": 1}', value)


@pytest.mark.parametrize("key", [b"{}", b'{"other": 1}', b'{"id": null}', b'{"id": [1]}'])
def test_a_key_without_the_key_column_is_poison(key: bytes) -> None:
    """A missing, NULL or structured key value is refused when the key is asked for."""
    with pytest.raises(PoisonEvent, match="id"):
        read(key, envelope(after={})).key(["id"])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(st.binary(max_size=60) | st.none(), st.binary(max_size=200))
def test_no_bytes_raise_anything_but_poison(key: bytes | None, value: bytes) -> None:
    """Whatever bytes arrive, the answer is a change or PoisonEvent."""
    try:
        parse(key, value)
    except PoisonEvent:
        return


@given(
    st.dictionaries(
        st.sampled_from(["op", "source", "before", "after", "schema", "payload"]), JSON
    ),
    JSON,
)
def test_no_json_raises_anything_but_poison(value: dict[str, Any], source: Any) -> None:
    """Whatever JSON arrives in the places of an envelope, the answer is a change or
    PoisonEvent.
    """
    for candidate in (
        value,
        {"op": "u", "source": source, **value},
        {"op": "u", "source": {**SOURCE, "x": source}},
    ):
        try:
            change = parse(None, json.dumps(candidate).encode())
            if change is not None:
                change.key(["id"])
        except PoisonEvent:
            continue
