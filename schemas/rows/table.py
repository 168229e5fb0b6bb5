"""Names of tables and keys of rows, as every part of vectrue writes them.

Hazard: a key value travels as text (`"17"`, a uuid, `"2026-01-31"`); only Postgres
turns it into the column's type. Comparing it with a number in Python would make two
keys of one row.
"""

import re
from dataclasses import dataclass
from typing import Self

from schemas.errors import ConfigurationError, PoisonEvent

Key = tuple[str, ...]
"""The primary key of a row: the text form of each key column, in the order of the
primary key.
"""

# Python writes no longer integer, and no key column of Postgres but numeric could hold
# one.
_LONGEST_DIGITS = 4_300

_PART = re.compile(r'"((?:[^"]|"")+)"|([^."]+)')
_UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")
_UNSAFE_IN_TOPIC = re.compile(r"[^a-zA-Z0-9._-]")


@dataclass(frozen=True, slots=True, order=True)
class TableName:
    """A table by schema and name, both as stored in the catalogue (no case folding)."""

    schema: str
    name: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `schema.table`; `table` alone means `public.table`.

        A part that itself holds a dot or a double quote is written in double quotes, as
        in SQL.

        Raises:
            ConfigurationError: the text is not one or two names joined by a dot.
        """
        parts: list[str] = []
        position = 0
        while (match := _PART.match(text, position)) is not None:
            parts.append(match[1].replace('""', '"') if match[1] is not None else match[2])
            position = match.end()
            if position == len(text):
                break
            if text[position] != ".":
                parts = []
                break
            position += 1
        if position != len(text) or text.endswith(".") or not 1 <= len(parts) <= 2:
            raise ConfigurationError(
                f"{text!r} is not a table name",
                fix='write it as schema.table or "odd.schema".table',
            )
        return cls(*parts) if len(parts) == 2 else cls("public", parts[0])

    def __str__(self) -> str:
        """Write the name so that `parse` reads it back."""
        return f"{_written(self.schema)}.{_written(self.name)}"

    def topic(self, prefix: str) -> str:
        """Topic that Debezium writes this table's changes to.

        Each UTF-16 unit that Kafka does not allow becomes a `_`, as Debezium's topic
        naming strategy does it. Two tables may therefore share a topic; nothing depends
        on the name, since every event names its table.
        """
        return _UNSAFE_IN_TOPIC.sub(
            # Java counts UTF-16 units: a character outside the basic plane becomes two.
            lambda unsafe: "_" * (len(unsafe[0].encode("utf-16-le")) // 2),
            f"{prefix}.{self.schema}.{self.name}",
        )


def _written(part: str) -> str:
    if "." not in part and '"' not in part:
        return part
    doubled = part.replace('"', '""')
    return f'"{doubled}"'


def key_part(value: float | str) -> str:
    """Text form of one key column's value, as it travels.

    Raises:
        PoisonEvent: no column of Postgres can hold it, and its driver would not even
            send it: text with a NUL character or half of a surrogate pair, a number of
            thousands of digits.
    """
    # str() of a longer integer raises, by Python's limit of digits.
    if isinstance(value, int) and abs(value) >= 10**_LONGEST_DIGITS:
        raise PoisonEvent(f"a key value is a number of more than {_LONGEST_DIGITS} digits")
    text = str(value)
    if _UNSTORABLE.search(text):
        raise PoisonEvent(
            "a key value is text that Postgres cannot hold (a NUL character, or half a "
            "surrogate pair)"
        )
    return text
