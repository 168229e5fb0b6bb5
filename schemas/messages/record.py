"""A Kafka record as the pipeline takes it: raw bytes, free of any client library."""

from dataclasses import dataclass

Header = tuple[str, bytes | None]


@dataclass(frozen=True, slots=True)
class Record:
    """One record.

    `timestamp_ms` is the broker's or producer's clock, in milliseconds since 1970; None
    when absent.
    """

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[Header, ...] = ()
    timestamp_ms: int | None = None

    @property
    def position(self) -> str:
        """`topic[partition]@offset`, for messages and logs."""
        return f"{self.topic}[{self.partition}]@{self.offset}"
