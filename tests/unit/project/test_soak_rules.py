"""The checker of the soak has rules of its own: where they and the product's differ,
one of the two is wrong.
"""

import re
import sys

import pytest

from schemas.rows.document import NOT_BLANK
from tests.soak.audit import shown
from tests.soak.tables import BAD_BODIES, BODIES, READ, Unreadable, is_blank


def characters() -> list[str]:
    """All that a text of Postgres may hold."""
    return [chr(code) for code in range(1, sys.maxunicode + 1) if not 0xD800 <= code < 0xE000]


def test_two_rules_of_what_shows_nothing_agree() -> None:
    """Unicode's categories and a list of exceptions say of every character what the
    product's list of ranges says.
    """
    ours, theirs = re.compile(NOT_BLANK), re.compile(shown())
    differ = [c for c in characters() if (ours.search(c) is None) != (theirs.search(c) is None)]
    assert not differ


def test_what_shows_something_too_late_shows_nothing() -> None:
    """The rule ends where the product stops reading."""
    assert is_blank(" " * READ + "x")
    assert not is_blank(" " * (READ - 1) + "x")
    assert is_blank(None)


@pytest.mark.parametrize("body", BAD_BODIES)
def test_bad_bodies_are_unreadable(body: str) -> None:
    """Each is of another kind, and is told from a body that holds its text."""
    assert isinstance(BODIES.compose([body]), Unreadable)
    assert BODIES.compose([BODIES.put('a "text" \x01')]) == 'a "text" \x01'
    assert BODIES.compose([BODIES.put(None)]) is None
