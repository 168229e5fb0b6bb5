"""Replay messages."""

import json
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import PoisonEvent
from schemas.messages.chunk import Chunk, Deferral, DeferredRow, read_message
from schemas.rows.table import Key, TableName
from schemas.rows.target import KeyColumn, Target

RUN = UUID("00000000-0000-0000-0000-000000000017")
NAME = TableName("public", "questions")


def chunk(*keys: Key, number: int = 17) -> Chunk:
    """A chunk of the run with these keys."""
    return Chunk(run=RUN, number=number, table=NAME, column="embedding", model="m", keys=keys)


def test_a_message_has_the_documented_form() -> None:
    """The contract with other producers: these names, integer keys as numbers, nothing
    else.
    """
    target = Target(NAME, "embedding", "question", (KeyColumn("id", "bigint"),), "m", 8)
    message = json.loads(chunk(("1",), ("2",)).encode(target.key))
    assert message == {
        "run": str(RUN),
        "chunk": 17,
        "table": "public.questions",
        "column": "embedding",
        "model": "m",
        "keys": [[1], [2]],
    }


def test_a_deferred_row_has_the_documented_form() -> None:
    """The same fields without a run, and the deferral."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    deferral = Deferral(since=now, not_before=now, attempt=3, txids=(500,))
    target = Target(NAME, "embedding", "question", (KeyColumn("id", "bigint"),), "m", 8)
    message = json.loads(DeferredRow.of(target, ("1",), deferral).encode(target.key))
    assert message == {
        "chunk": 0,
        "table": "public.questions",
        "column": "embedding",
        "model": "m",
        "keys": [[1]],
        "deferral": {
            "since": "2026-01-01T00:00:00Z",
            "not_before": "2026-01-01T00:00:00Z",
            "attempt": 3,
            "txids": [500],
        },
    }


KEY_PARTS = st.text().filter(lambda text: "\x00" not in text)


@given(
    st.lists(st.tuples(KEY_PARTS, KEY_PARTS), min_size=1),
    st.integers(min_value=0, max_value=(1 << 31) - 1),
)
def test_a_chunk_is_read_back_as_it_was_written(keys: list[tuple[str, str]], number: int) -> None:
    """Keys of any text survive the message."""
    made = chunk(*keys, number=number)
    assert read_message(made.encode()) == made


def test_a_deferred_row_is_read_back_as_it_was_written() -> None:
    """A deferral keeps its times, its attempt and its transactions."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    deferral = Deferral(since=now, not_before=now, attempt=3, txids=(500, 501))
    row = DeferredRow(table=NAME, column="embedding", model="m", keys=(("1",),), deferral=deferral)
    assert read_message(row.encode()) == row


def test_number_keys_and_text_keys_name_the_same_row() -> None:
    """A key is text inside, whether the message has 1 or "1"."""
    message = {
        "run": str(RUN),
        "chunk": 1,
        "table": "questions",
        "column": "embedding",
        "model": "m",
        "keys": [[1], ["1"]],
    }
    assert read_message(json.dumps(message).encode()).keys == (("1",), ("1",))


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"{}",
        b"[]",
        b'{"run": "%b", "chunk": 1, "table": "a.b.c", "column": "e", "model": "m", "keys": [[1]]}'
        % str(RUN).encode(),
        b'{"chunk": 1, "table": "b", "column": "e", "model": "m", "keys": [[1]]}',
    ],
)
def test_anything_else_is_poison(value: bytes | None) -> None:
    """What is no replay message raises PoisonEvent with a reason."""
    with pytest.raises(PoisonEvent, match="replay message"):
        read_message(value)


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_but_poison(value: bytes) -> None:
    """Whatever bytes arrive, the answer is a chunk or PoisonEvent."""
    try:
        read_message(value)
    except PoisonEvent:
        return
