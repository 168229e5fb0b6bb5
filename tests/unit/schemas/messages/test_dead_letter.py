"""Dead letters: read back as they were, and chosen by filters."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import PoisonEvent
from schemas.messages.dead_letter import (
    DeadLetter,
    Entry,
    Selection,
    headers,
    row_id,
    without_content,
)
from schemas.messages.record import Record

NOW = datetime(2026, 1, 1, tzinfo=UTC)
NAMES = st.sampled_from(["trace", "__connect.errors.topic", "__connect.errors.offset", "", "한글"])
ENTRY = Entry(
    "t/0/1",
    "event",
    "public.questions",
    None,
    None,
    "the value is not JSON",
    "PoisonEvent",
    "decode",
    1,
    NOW,
    NOW,
)


@given(
    st.lists(st.tuples(NAMES, st.none() | st.binary(max_size=5)), max_size=8), st.text(max_size=30)
)
def test_an_event_is_read_back_as_it_was(
    given_headers: list[tuple[str, bytes | None]], reason: str
) -> None:
    """Also one that carries headers of the same names: only ours are taken off."""
    record = Record("a.b", 3, 17, b"k", None, tuple(given_headers), 5)
    told = headers(record, PoisonEvent(reason), stage="decode")
    letter = DeadLetter.parse(Record("t.dlq", 0, 9, record.key, record.value, tuple(told), 5))
    assert letter.original == record
    assert (letter.id, letter.error, letter.stage) == ("a.b/3/17", "PoisonEvent", "decode")


def test_a_letter_of_kafka_connect_is_read_by_name() -> None:
    """Connect writes more headers, in another order."""
    told = (
        ("__connect.errors.offset", b"4"),
        ("__connect.errors.topic", b"x"),
        ("__connect.errors.partition", b"1"),
    )
    letter = DeadLetter.parse(Record("t.dlq", 0, 9, None, b"v", (*told, ("own", b"1"))))
    assert letter.id == "x/1/4"
    assert letter.original is not None
    assert letter.original.headers == (("own", b"1"),)


def test_an_event_that_is_too_large_leaves_its_place() -> None:
    """Neither key nor value, and the letter says so: sent back, it would be a
    tombstone.
    """
    record = Record("a.b", 3, 17, b"k", b"v" * 9, (("own", b"x"),), 5)
    told = without_content(record, PoisonEvent("bad"), stage="decode")
    letter = DeadLetter.parse(Record("t.dlq", 0, 9, None, None, tuple(told)))
    assert (letter.id, letter.is_bare, letter.reason) == ("a.b/3/17", True, "bad")
    whole = DeadLetter.parse(
        Record("t.dlq", 0, 9, None, None, tuple(headers(record, PoisonEvent("bad"), stage="s")))
    )
    assert not whole.is_bare
    mirrored = replace(record, headers=(*record.headers, told[0]))
    told = headers(mirrored, PoisonEvent("bad"), stage="s")
    assert not DeadLetter.parse(Record("t.dlq", 0, 9, b"k", b"v", tuple(told))).is_bare


def test_a_letter_that_says_nothing_still_has_an_id() -> None:
    """What somebody else wrote into the topic is listed under its own place, and cannot
    be sent back.
    """
    letter = DeadLetter.parse(
        Record("t.dlq", 0, 9, None, b"v", (("__connect.errors.topic", b"x"),))
    )
    assert (letter.id, letter.original) == ("t.dlq/0/9", None)


def test_a_reason_that_is_no_proper_text_is_kept_all_the_same() -> None:
    """Half of a surrogate pair in a message does not keep the event from its letter."""
    assert headers(Record("a", 0, 0, None, None), PoisonEvent("x\ud800"), stage="s")[-1][1] == b"x?"


@pytest.mark.parametrize(
    ("selection", "taken"),
    [
        (Selection(), True),
        (Selection(ids=("t/0/1",)), True),
        (Selection(ids=("t/0/2",)), False),
        (Selection(kind="row"), False),
        (Selection(table="public.questions", reason="NOT json"), True),
        (Selection(reason="PoisonEvent"), True),
        (Selection(reason="Poison"), False),
        (Selection(table="public.other"), False),
        (Selection(older_than=60.0), True),
        (Selection(older_than=61.0), False),
        (Selection(newer_than=60.0), True),
        (Selection(newer_than=59.0), False),
    ],
)
def test_filters(selection: Selection, taken: bool) -> None:
    """Each condition alone; all that are given must hold."""
    assert selection.takes(ENTRY, NOW + timedelta(seconds=60)) is taken


def test_what_bears_no_time_has_no_age() -> None:
    """A letter without a time is neither old nor new."""
    timeless = replace(ENTRY, last_at=None)
    assert not Selection(older_than=0.0).takes(timeless, NOW)
    assert not Selection(newer_than=9e9).takes(timeless, NOW)


def test_ids_of_rows_are_stable_and_differ() -> None:
    """The id follows from table, column and key, and parts do not run into each other."""
    assert row_id("public.questions", "embedding", ("2",)) == "row-ff18ed31320a"
    assert (
        len({row_id("t", "c", key) for key in [("a", "b"), ("ab",), ("a", "b", ""), ("", "ab")]})
        == 4
    )
