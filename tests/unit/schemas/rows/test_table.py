"""Names of tables and topics."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import ConfigurationError, PoisonEvent
from schemas.rows.table import TableName, key_part

PARTS = st.text(min_size=1).filter(lambda s: "\x00" not in s)


@given(PARTS, PARTS)
def test_a_name_is_read_back_as_it_was_written(schema: str, name: str) -> None:
    """Whatever characters a schema or a table has, its written form names it."""
    table = TableName(schema, name)
    assert TableName.parse(str(table)) == table


def test_a_bare_name_is_in_public() -> None:
    """`questions` means `public.questions`, and names are taken exactly as written."""
    assert TableName.parse("questions") == TableName("public", "questions")
    assert TableName.parse("App.Questions") == TableName("App", "Questions")
    assert TableName.parse('public."q; drop table x"') == TableName("public", "q; drop table x")


@pytest.mark.parametrize("text", ["", ".", "a.", ".a", "a.b.c", '"a"b', '"a', 'a"b'])
def test_what_is_no_name_is_refused(text: str) -> None:
    """Anything but one or two names joined by a dot is an error that shows what was
    written.
    """
    with pytest.raises(ConfigurationError, match="is not a table name"):
        TableName.parse(text)


def test_topic_names_hold_only_what_kafka_allows() -> None:
    """Other characters become underscores, one per UTF-16 unit, as Debezium's topic
    naming does it.
    """
    assert TableName("public", "questions").topic("app") == "app.public.questions"
    assert TableName("public", "질문 표").topic("app") == "app.public.____"
    assert TableName("public", "a😀b").topic("app") == "app.public.a__b"


@pytest.mark.parametrize(
    "value",
    ["\x00", "a\x00b", "\ud800", 10**4300, -(10**5000)],
    ids=["NUL", "inside", "half", "long", "lower"],
)
def test_a_key_that_no_column_can_hold_is_a_bad_event(value: int | str) -> None:
    """Postgres' driver raises on them as if the program were wrong, which would stop
    the worker for ever.
    """
    with pytest.raises(PoisonEvent):
        key_part(value)
