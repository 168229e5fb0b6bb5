"""Key values of the connector in the words of Postgres."""

import pytest

from schemas.rows.key_values import for_postgres
from schemas.rows.target import KeyColumn


@pytest.mark.parametrize(
    ("category", "written", "read"),
    [
        ("D", "2026-01-31T10:00:00.000000Z", "2026-01-31T10:00:00.000000Z"),
        ("D", "infinity", "infinity"),
        ("D", "+12026-01-31Z", "12026-01-31Z"),
        ("D", "0000-01-01Z", "0001-01-01Z BC"),
        ("D", "-0043-03-15T12:00:00Z", "0044-03-15T12:00:00Z BC"),
        ("D", "-4713-11-24Z", "4714-11-24Z BC"),
        ("D", "-5877611-06-22Z", "-infinity"),
        ("D", "-5877611-06-21Z", "infinity"),
        ("D", "+5877611-06-21Z", "infinity"),
        ("D", "+5874897-12-31Z", "5874897-12-31Z"),
        ("D", "+292278994-08-16T23:00:00Z", "infinity"),
        ("D", "-292275055-05-16T23:00:00Z", "-infinity"),
        ("N", "POSITIVE_INFINITY", "Infinity"),
        ("S", "NAN", "NAN"),
        ("S", "0000-01-01Z", "0000-01-01Z"),
        ("", "+12026-01-31Z", "+12026-01-31Z"),
    ],
)
def test_only_what_postgres_would_not_read_is_written_anew(
    category: str, written: str, read: str
) -> None:
    """Outermost dates and numbers become Postgres's words; ordinary values and texts
    stay as they are.
    """
    assert for_postgres((written,), (KeyColumn("id", "x", category),)) == (read,)
