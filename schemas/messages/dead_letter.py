"""Dead letters: the original bytes of an event that can never be handled, and why.

The header names are those of Connect's DeadLetterQueueReporter, so that existing tools
show them.

Hazard: an event may itself carry such headers (a topic that was mirrored, someone's
test). Ours are the last six, in a fixed order, so only those are taken off again and
the event is sent back exactly as it was.
"""

import re
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Any, Literal, Self

from schemas.messages.record import Header, Record
from schemas.rows.table import Key

# Header before the six: the event, of so many bytes, was larger than a record may be,
# and its place alone is kept.
_LEFT_OUT = "vectrue.left_out"
# characters; a broker's default record limit must never be met by our own headers
_LONGEST_MESSAGE = 1_000
_PREFIX = "__connect.errors."
_NAMES = ("topic", "partition", "offset", "stage", "exception.class.name", "exception.message")
_TOPIC = re.compile(r"[a-zA-Z0-9._-]{1,249}")
_PARTITION = re.compile(r"[0-9]{1,9}")
# What Kafka takes for a topic's name, a partition and an offset; a header may say
# anything.
_OFFSET = re.compile(r"[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class Failure:
    """A record that can never be handled, why, and the step that failed.

    The steps are `decode`, `read` and `defer`.
    """

    record: Record
    reason: Exception
    stage: str


def headers(record: Record, reason: Exception, *, stage: str) -> list[Header]:
    """Headers of a dead letter: those of the record, then the error's.

    Args:
        record: what failed; its own headers are kept, duplicates included.
        reason: the error; its message is cut at 1,000 characters.
        stage: the step of the pipeline that failed (`decode`, `read`, `defer`).
    """
    message = str(reason)[:_LONGEST_MESSAGE]
    texts = (
        record.topic,
        str(record.partition),
        str(record.offset),
        stage,
        type(reason).__name__,
        message,
    )
    # A broken text in a message (half of a surrogate pair) must not keep the event from
    # its dead letter.
    made = list(record.headers)
    for name, text in zip(_NAMES, texts, strict=True):
        made.append((f"{_PREFIX}{name}", text.encode(errors="replace")))
    return made


def without_content(record: Record, reason: Exception, *, stage: str) -> list[Header]:
    """Headers of the dead letter of an event that is too large for one.

    It has neither key, value nor other headers.
    """
    size = len(record.key or b"") + len(record.value or b"")
    bare = Record(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        key=None,
        value=None,
        headers=((_LEFT_OUT, str(size).encode()),),
    )
    return headers(bare, reason, stage=stage)


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A dead letter, read back.

    Attributes:
        letter: the record of the dead-letter topic.
        original: the event as it was: topic, partition, offset, bytes, headers; None
            when the letter does not say where it came from, or no such place can be
            (another program wrote it).
        reason, error, stage: the message, the class and the step; "" where the letter
            does not say.
        is_bare: the event was too large for a letter: what it was is to be read where
            it came from.
    """

    letter: Record
    original: Record | None
    reason: str = ""
    error: str = ""
    stage: str = ""
    is_bare: bool = False

    @property
    def id(self) -> str:
        """`topic/partition/offset` of the event, or of the letter where that is unknown."""
        record = self.original or self.letter
        return f"{record.topic}/{record.partition}/{record.offset}"

    @classmethod
    def parse(cls, letter: Record) -> Self:
        """Read a record of the dead-letter topic; never fails, what is missing stays empty."""
        own, kept = _divided(letter.headers)
        told: dict[str, str] = {}
        for name, value in own:
            told[name.removeprefix(_PREFIX)] = (value or b"").decode(errors="replace")
        # An event of another installation may carry such a header; it has its content,
        # too.
        is_bare = (
            letter.key is None
            and letter.value is None
            and len(kept) == 1
            and kept[0][0] == _LEFT_OUT
        )
        return cls(
            letter=letter,
            original=_original(letter, kept, told),
            reason=told.get("exception.message", ""),
            error=told.get("exception.class.name", ""),
            stage=told.get("stage", ""),
            is_bare=is_bare,
        )


def _divided(headers: tuple[Header, ...]) -> tuple[tuple[Header, ...], tuple[Header, ...]]:
    """Return the headers about the error, and those of the event."""
    if len(headers) >= len(_NAMES):
        own, kept = headers[-len(_NAMES) :], headers[: -len(_NAMES)]
        if all(header[0] == f"{_PREFIX}{name}" for header, name in zip(own, _NAMES, strict=True)):
            return own, kept
    # Kafka Connect writes its own dead letters with the headers in another order.
    mine: list[Header] = []
    others: list[Header] = []
    for header in headers:
        if header[0].startswith(_PREFIX):
            mine.append(header)
        else:
            others.append(header)
    return tuple(mine), tuple(others)


def _original(letter: Record, headers: tuple[Header, ...], told: dict[str, str]) -> Record | None:
    topic = told.get("topic", "")
    partition = told.get("partition", "")
    offset = told.get("offset", "")
    if not _TOPIC.fullmatch(topic) or not _PARTITION.fullmatch(partition):
        return None
    if not _OFFSET.fullmatch(offset):
        return None
    return replace(
        letter,
        topic=topic,
        partition=int(partition),
        offset=int(offset),
        headers=headers,
    )


class EntryState(StrEnum):
    """What was done about an entry."""

    OPEN = "open"
    REDRIVEN = "redriven"
    PURGED = "purged"


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that was not handled: an undecodable event, or a row in quarantine.

    Attributes:
        id: `topic/partition/offset` of an event; `row-` and twelve hex digits for a
            row.
        kind: event or row.
        table, column, key: which row; None where an event does not tell.
        reason, error, stage: what went wrong; a row's error is PoisonText and its stage
            `embed`.
        attempts: dead letters of the event (a restart may repeat one), or tries of the
            text alone.
        first_at, last_at: when; None when a letter bears no time.
        size_bytes: key and value of an event.
        state, outcome: what was done about it, and what came of that.
        places: partition and offset of the event's letters in the dead-letter topic.
        topic: where an event came from by its letter, which anyone may have written;
            None where that does not tell.
        is_bare: the letter has only the event's place.
    """

    id: str
    kind: Literal["event", "row"]
    table: str | None
    column: str | None
    key: Key | None
    reason: str
    error: str
    stage: str
    attempts: int
    first_at: datetime | None
    last_at: datetime | None
    size_bytes: int | None = None
    state: EntryState = EntryState.OPEN
    outcome: str | None = None
    places: tuple[tuple[int, int], ...] = ()
    topic: str | None = None
    is_bare: bool = False

    def to_json(self) -> dict[str, Any]:
        """By name; times in RFC 3339."""
        data = asdict(self)
        del data["places"], data["topic"], data["is_bare"]
        for name in ("first_at", "last_at"):
            data[name] = data[name].isoformat() if data[name] else None
        return data


@dataclass(frozen=True, slots=True)
class Selection:
    """Which entries are meant: all given conditions must hold. Ages in seconds."""

    ids: tuple[str, ...] = ()
    kind: str | None = None
    table: str | None = None
    reason: str | None = None
    older_than: float | None = None
    newer_than: float | None = None

    def takes(self, entry: Entry, now: datetime) -> bool:
        """Whether an entry is meant.

        `reason` is part of the message in any case, or the whole name of the class.
        """
        if (self.ids and entry.id not in self.ids) or (self.kind and entry.kind != self.kind):
            return False
        if self.table and entry.table != self.table:
            return False
        if (
            self.reason
            and self.reason.lower() not in entry.reason.lower()
            and self.reason != entry.error
        ):
            return False
        if self.older_than is None and self.newer_than is None:
            return True
        if entry.last_at is None:
            return False
        age = (now - entry.last_at).total_seconds()
        return (self.older_than is None or age >= self.older_than) and (
            self.newer_than is None or age <= self.newer_than
        )


def row_id(table: str, column: str, key: Key) -> str:
    """The id of a row in quarantine: short, always the same, and free of shell characters."""
    # No text of Postgres holds a NUL, so no two keys are joined to the same name.
    name = "\x00".join((table, column, *key))
    return f"row-{sha256(name.encode()).hexdigest()[:12]}"
