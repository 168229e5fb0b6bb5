"""Dead letters: the original bytes of an event that can never be handled, and why, in Kafka Connect's header names.

The header names are those of Connect's DeadLetterQueueReporter, so that existing tools show them.

Hazard: an event may itself carry such headers (a topic that was mirrored, somebody's test). Ours are the last six, in
a fixed order, so only those are taken off again and the event is sent back exactly as it was.
"""

from dataclasses import dataclass, replace
from typing import Self

from schemas.record import Header, Record

_LONGEST_MESSAGE = 1_000  # characters; a broker's default record limit must never be met by our own headers
_PREFIX = "__connect.errors."
_NAMES = ("topic", "partition", "offset", "stage", "exception.class.name", "exception.message")


@dataclass(frozen=True, slots=True)
class Failure:
    """A record that can never be handled, why, and the step of the pipeline that failed (`decode`, `read`)."""

    record: Record
    reason: Exception
    stage: str


def headers(record: Record, reason: Exception, *, stage: str) -> list[Header]:
    """Headers of a dead letter: those of the record, then the error's.

    Args:
        record: what failed; its own headers are kept, duplicates included.
        reason: the error; its message is cut at 1,000 characters.
        stage: the step of the pipeline that failed (`decode`, `read`).
    """
    message = str(reason)[:_LONGEST_MESSAGE]
    texts = (record.topic, str(record.partition), str(record.offset), stage, type(reason).__name__, message)
    # A broken text in a message (half of a surrogate pair) must not keep the event from its dead letter.
    errors = ((f"{_PREFIX}{n}", text.encode(errors="replace")) for n, text in zip(_NAMES, texts, strict=True))
    return [*record.headers, *errors]


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A dead letter, read back.

    Attributes:
        letter: the record of the dead-letter topic.
        original: the event as it was: topic, partition, offset, bytes, headers; None when the letter does not say
            where it came from (another program wrote it).
        reason, error, stage: the message, the class and the step; "" where the letter does not say.
    """

    letter: Record
    original: Record | None
    reason: str = ""
    error: str = ""
    stage: str = ""

    @property
    def id(self) -> str:
        """`topic/partition/offset` of the event; of the letter itself where the event's is unknown."""
        record = self.original or self.letter
        return f"{record.topic}/{record.partition}/{record.offset}"

    @classmethod
    def parse(cls, letter: Record) -> Self:
        """Read a record of the dead-letter topic. Never fails: what is missing stays empty."""
        own = letter.headers[-len(_NAMES) :]
        kept = letter.headers[: -len(_NAMES)]
        if tuple(name for name, _ in own) != tuple(f"{_PREFIX}{name}" for name in _NAMES):  # Connect's own letters
            own = tuple(header for header in letter.headers if header[0].startswith(_PREFIX))
            kept = tuple(header for header in letter.headers if not header[0].startswith(_PREFIX))
        told = {name.removeprefix(_PREFIX): (value or b"").decode(errors="replace") for name, value in own}
        topic, partition, offset = (told.get(name, "") for name in _NAMES[:3])
        original = None
        if topic and partition.isdecimal() and offset.isdecimal():
            original = replace(letter, topic=topic, partition=int(partition), offset=int(offset), headers=kept)
        error = told.get("exception.class.name", "")
        return cls(letter, original, told.get("exception.message", ""), error, told.get("stage", ""))
