"""Key values as the connector writes them, in the words of Postgres.

Nearly every value casts back as is. The exceptions were found by sending each
type's outermost values through Debezium 3.x with `time.precision.mode=isostring` and
`decimal.handling.mode=string` (tests/integration/worker/test_keys.py): years before 1
and after 9999, and the infinite dates, timestamps and numbers, which Java has no words
for: what stands for an infinite one changed with 3.7, and lies beyond what Postgres can
hold since then.

Hazard: only columns of these types may be read so; in a text key the same letters are
just letters.
"""

import re
from typing import Final

from schemas.rows.table import Key
from schemas.rows.target import KeyColumn

# pg_type.typcategory, which a domain has from its base type.
_DATE_TIME: Final = "D"
_NUMERIC: Final = "N"
_WORDS: Final = {
    _DATE_TIME: {
        # Before 3.7. Timestamp: 2^63 - 1 and - 2^63 microseconds.
        "+294247-01-10T04:00:25.2Z": "infinity",
        "-290308-12-21T19:59:27.6Z": "-infinity",
        # A date, wrapped around to days before any that Postgres has.
        "-5877611-06-21Z": "infinity",
    },
    _NUMERIC: {"POSITIVE_INFINITY": "Infinity", "NEGATIVE_INFINITY": "-Infinity", "NAN": "NaN"},
}
# Of a date; a timestamp ends long before (PostgreSQL documentation, Date/Time Types).
_FIRST_YEAR, _LAST_YEAR = -4713, 5_874_897

# Java's years have nine digits at most; Python reads no number of thousands of them.
_ISO = re.compile(r"([+-]?[0-9]{4,9})(-[0-9]{2}-[0-9]{2}.*)", re.DOTALL)


def for_postgres(key: Key, columns: tuple[KeyColumn, ...]) -> Key:
    """The same key with each value as Postgres casts it to the column's type."""
    return tuple(_value(value, column.category) for value, column in zip(key, columns, strict=True))


def _value(value: str, category: str) -> str:
    word = _WORDS.get(category, {}).get(value)
    if word is not None:
        return word
    iso = _ISO.fullmatch(value) if category == _DATE_TIME else None
    if iso is None:
        return value
    # ISO 8601 has a year 0, which is 1 BC.
    year = int(iso[1])
    # Since Debezium 3.7 an infinite value is a year that Postgres cannot hold.
    if not _FIRST_YEAR <= year <= _LAST_YEAR:
        return "infinity" if year > 0 else "-infinity"
    return f"{year:04}{iso[2]}" if year > 0 else f"{1 - year:04}{iso[2]} BC"
