"""Dead letters: the original bytes of an event that can never be handled, and why, in Kafka Connect's header names.

The header names are those of Connect's DeadLetterQueueReporter, so that existing tools show them.
"""

from schemas.record import Header, Record

_LONGEST_MESSAGE = 1_000  # characters; a broker's default record limit must never be met by our own headers


def headers(record: Record, reason: Exception, *, stage: str) -> list[Header]:
    """Headers of a dead letter: those of the record, then the error's.

    Args:
        record: what failed; its own headers are kept, duplicates included.
        reason: the error; its message is cut at 1,000 characters.
        stage: the step of the pipeline that failed (`decode`, `read`).
    """
    errors = {
        "topic": record.topic,
        "partition": str(record.partition),
        "offset": str(record.offset),
        "stage": stage,
        "exception.class.name": type(reason).__name__,
        "exception.message": str(reason)[:_LONGEST_MESSAGE],
    }
    return [*record.headers, *((f"__connect.errors.{name}", text.encode()) for name, text in errors.items())]
