"""What the workers do: the lanes, the keeper, the canary, dead letters, logs."""

from typing import Literal, Self

from pydantic import (
    Field,
    model_validator,
)

from schemas.settings.section import Section


class LiveSettings(Section):
    """The live lane: changes as they happen."""

    batch_size: int = Field(64, ge=1, le=1000, description="most events in a micro-batch")
    linger_ms: float = Field(5.0, ge=0, description="longest wait for a micro-batch to fill")
    early_wait_ms: int = Field(
        100,
        ge=0,
        description=(
            "wait for a transaction that is not visible yet, or a locked row, before it is deferred"
        ),
    )
    defer_seconds: float = Field(
        1.0, gt=0, description="first not-before interval of a deferred row; doubles up to 30 s"
    )
    defer_limit_seconds: float = Field(
        3600.0, gt=0, description="a transaction that is invisible for longer is taken as lost"
    )
    retry_seconds: float = Field(
        120.0, gt=0, description="how long an absent service is retried before exit 70"
    )


class ReplaySettings(Section):
    """The replay lane: rows by command."""

    chunk_size: int = Field(500, ge=1, le=10_000, description="keys in one replay message")
    micro_batch: int = Field(64, ge=1, le=1000, description="rows embedded and written at a time")
    nice: int = Field(10, ge=0, le=19, description="added to the nice value of the replay worker")
    idle_unload_seconds: float = Field(
        300.0, gt=0, description="the model leaves memory after this long without work"
    )
    max_live_lag_seconds: float = Field(
        5.0,
        gt=0,
        description=(
            "replay waits while the oldest unhandled live change is older; a run may have its own"
        ),
    )


class KeeperSettings(Section):
    """What heals by itself; the workers see to it, one at a time."""

    reconcile_seconds: float = Field(
        3600.0,
        ge=0,
        description=(
            "how often all rows are looked at for those that stayed stale, whatever "
            "is asked for; 0: never"
        ),
    )
    stale_seconds: float = Field(
        60.0, gt=0, description="a row that is not true for longer is sent through replay"
    )
    restart_connector: bool = Field(
        True, description="restart a connector or task that failed; false: only report it"
    )
    poll_seconds: float = Field(
        5.0, gt=0, description="how often the connector's state and the looks asked for are read"
    )


class CanarySettings(Section):
    """The row that travels the whole path: while it comes back, changes arrive."""

    seconds: float = Field(5.0, ge=0.1, description="how often a live worker writes the canary row")
    late_seconds: float = Field(
        30.0,
        gt=0,
        description=(
            "above this age of the newest canary that came back no command says that all is well"
        ),
    )
    slot_seconds: float = Field(
        180.0,
        gt=0,
        description=(
            "a replication slot that does not move for longer while the log does is a"
            " fault; above Kafka Connect's offset.flush.interval.ms, which is 60 s by"
            " default"
        ),
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        # A single beat that is slow must not look like a path that is broken.
        if self.late_seconds < 2 * self.seconds:
            raise ValueError("late_seconds must be twice seconds or more")
        return self


class DeadLetterSettings(Section):
    """Events that can never be handled, and how many of them are too many."""

    most_in_a_row: int = Field(
        100, ge=0, description="bad events of a topic in a row before a worker stops; 0: no limit"
    )
    most_share: float = Field(
        0.5,
        ge=0,
        le=1,
        description=(
            "share of bad events in a topic above which a worker stops, of at least 200 within a "
            "minute; 0: no limit"
        ),
    )
    max_record_bytes: int = Field(
        8_388_608,
        ge=1_048_576,
        le=100_000_000,
        description=(
            "largest dead letter; must exceed the largest record of the change topics"
            " by 64 KiB for headers"
        ),
    )


class WatchdogSettings(Section):
    """When a hung worker terminates itself so that it is restarted."""

    idle_seconds: float = Field(
        60.0,
        gt=0,
        description=(
            "exit after so long without an assignment, or without progress while events wait"
        ),
    )
    batch_seconds: float = Field(
        900.0,
        gt=0,
        description=(
            "budget of a part of a batch, retries included: about 12,000 characters, "
            "or one longer text"
        ),
    )
    loop_seconds: float = Field(
        60.0, gt=0, description="exit when the event loop hangs for this long"
    )


class MetricsSettings(Section):
    """Prometheus endpoints of the workers, on loopback."""

    live_port: int | None = Field(
        None, ge=1, le=65535, description="port of the live worker; off when unset"
    )
    replay_port: int | None = Field(
        None, ge=1, le=65535, description="port of the replay worker; off when unset"
    )


class LogSettings(Section):
    """Logs, on stderr."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="least severe level shown"
    )
    format: Literal["auto", "console", "json"] = Field(
        "auto", description="auto: console on a terminal, else JSON"
    )
