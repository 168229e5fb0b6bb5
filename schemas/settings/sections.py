"""The sections of the settings: every value that can be set, with its default, its
bounds and what it means.

Hazard: `postgres.dsn`, `postgres.admin_dsn`, `kafka.security`, `serve.token` and
`serve.query_log_secret` may hold secrets: they are shown only through
`Settings.masked()`.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from schemas.errors import ConfigurationError
from schemas.rows.table import TableName


def _sql_name(value: str) -> str:
    if (
        not value.replace("_", "").isalnum()
        or not value.isascii()
        or not value.islower()
        or len(value) > 63
    ):
        raise ValueError("use lower-case letters, digits and underscores")
    return value


SlotName = Annotated[str, AfterValidator(_sql_name)]
NameOrUnset = Annotated[str, AfterValidator(lambda value: value and _sql_name(value))]


class _Section(BaseModel):
    # hide_input: pydantic's own messages quote the value, which may be a password;
    # --debug shows them.
    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, allow_inf_nan=False
    )


LOW_MEMORY_TEXTS = 8
LOW_MEMORY_TOKENS = 512
"""What `model.low_memory` sets: 8 texts of 512 tokens take 0.2 GB beside bge-m3's
weights, 32 of 8,192 take 13 GB.
"""


class ModelSettings(_Section):
    """Which model makes the vectors.

    Hazard: `low_memory` sets `max_tokens` where it is unset, which is another model id
    for a model that takes more: all vectors are then stale, and a worker with the other
    setting writes nothing. Precision and batch size change no id.
    """

    name: str = Field(
        "BAAI/bge-m3",
        description="sentence-transformers name or folder; multilingual-e5-small; lexical",
    )
    revision: str | None = Field(
        None, description="commit of the model's repository; pinned for known models"
    )
    dimensions: int = Field(
        1024, ge=1, le=16_000, description="length of a vector, equal to the column's vector(N)"
    )
    device: str = Field("auto", description="auto, cpu, cuda, mps")
    low_memory: bool = Field(
        False,
        description="at most 8 texts per forward pass, dtype bfloat16 and max_tokens 512, the last two "
        ""
        "where they are "
        "unset; another max_tokens is another model id",
    )
    dtype: Literal["auto", "float32", "bfloat16"] = Field(
        "auto",
        validate_default=True,
        description="precision of the network; auto: bfloat16 on a GPU that has it",
    )
    max_tokens: int | None = Field(
        None,
        ge=8,
        validate_default=True,
        description="longer texts are cut there; the model's own limit when unset",
    )
    batch_size: int = Field(32, ge=1, validate_default=True, description="texts per forward pass")
    threads: int | None = Field(
        None, ge=1, description="CPU threads of the model; PyTorch decides when unset"
    )

    @property
    def opening(self) -> dict[str, Any]:
        """What opens the model, whatever other settings a machine has."""
        return self.model_dump(include={"name", "revision", "dimensions", "max_tokens"})

    def opened_as(self, opening: Mapping[str, Any]) -> Self:
        """Return these settings for another model.

        Args:
            opening: of that model, as it was recorded; empty: no other model.
        """
        # Not validated again: low_memory would set max_tokens, which is another id.
        return self.model_copy(update=dict(opening))

    # low_memory stands above the three fields, so that it is known when they are looked
    # at.
    @field_validator("dtype")
    @classmethod
    def _little_dtype(cls, value: str, info: ValidationInfo) -> str:
        return "bfloat16" if value == "auto" and info.data.get("low_memory") else value

    @field_validator("max_tokens")
    @classmethod
    def _little_max_tokens(cls, value: int | None, info: ValidationInfo) -> int | None:
        return LOW_MEMORY_TOKENS if value is None and info.data.get("low_memory") else value

    @field_validator("batch_size")
    @classmethod
    def _little_batch_size(cls, value: int, info: ValidationInfo) -> int:
        return min(value, LOW_MEMORY_TEXTS) if info.data.get("low_memory") else value


class PostgresSettings(_Section):
    """The database that holds the rows."""

    dsn: str = Field(
        "postgresql://vectrue@localhost/interview", description="what the worker connects with"
    )
    admin_dsn: str | None = Field(
        None, description="what `init` connects with (owner of the tables); dsn when unset"
    )
    publication: NameOrUnset = Field(
        "",
        description="publication that the connector reads; made from kafka.topic_prefix when unset",
    )
    publication_columns: Literal["all", "keys"] = Field(
        "all",
        description="what Postgres sends to Kafka Connect of a changed row; Kafka gets the key alone "
        ""
        "either way. all: "
        "new keys and key types need no `init`, but Connect must hold the longest row in "
        "memory, several times. keys: "
        "texts stay in Postgres, but it refuses ALTER COLUMN TYPE of a key column, and after a "
        "new primary key or "
        "REPLICA IDENTITY FULL every UPDATE of the application fails until `init`",
    )
    slot: SlotName | None = Field(
        None, description="replication slot; made from kafka.topic_prefix when unset"
    )
    origin: str = Field(
        "",
        description=(
            "replication origin that labels the worker's own writes; made from "
            "kafka.topic_prefix when unset"
        ),
    )
    fire_triggers: bool = Field(
        True, description="false: vector writes run under session_replication_role = replica"
    )
    lock_timeout_seconds: float = Field(
        2.0, gt=0, description="longest wait of a DDL statement or a write for a lock"
    )

    @property
    def admin(self) -> str:
        """DSN for everything that changes the schema."""
        return self.admin_dsn or self.dsn


class KafkaSettings(_Section):
    """The broker and its topics."""

    bootstrap_servers: str = Field("localhost:9092", description="host:port, comma-separated")
    topic_prefix: str = Field(
        "vectrue",
        pattern=r"^[a-zA-Z0-9][a-zA-Z0-9._-]*$",
        description="first part of every topic and group",
    )
    partitions: int = Field(
        6, ge=1, description="partitions of each change topic and of the replay topic"
    )
    replication_factor: int = Field(1, ge=1, description="copies of each partition")
    retention_hours: int = Field(
        168, ge=1, description="how long change and replay events are kept"
    )
    session_timeout_seconds: int = Field(
        15,
        ge=6,
        le=90,
        description="a worker that died gives its partitions up after this long",
    )
    security: dict[str, str] = Field(
        default_factory=dict, description="librdkafka security.*, sasl.*, ssl.* options"
    )


class ConnectSettings(_Section):
    """Kafka Connect, where Debezium runs."""

    url: str = Field("http://localhost:8083", description="REST address")
    connector: str | None = Field(
        None, description="name of the connector; <topic_prefix>-postgres when unset"
    )
    database_host: str | None = Field(
        None, description="Postgres as Connect reaches it; the host of the DSN when unset"
    )
    database_port: int | None = Field(
        None, description="its port as Connect reaches it; the port of the DSN when unset"
    )
    database_sslrootcert: str | None = Field(
        None,
        description=(
            "CA file, on Kafka Connect's machine, for TLS to Postgres; sslrootcert of the DSN "
            "when unset"
        ),
    )
    poll_interval_ms: int = Field(
        5, ge=1, description="Debezium's wait when nothing changed; most of the capture latency"
    )
    heartbeat_seconds: int = Field(
        10, ge=1, description="how often the slot is moved while the tables are quiet"
    )


class TableSettings(_Section):
    """One table to keep in step."""

    name: str = Field(description="schema.table")
    text: str = Field(
        min_length=1, description="SQL expression over the table's columns: what is embedded"
    )
    column: str = Field("embedding", min_length=1, description="the pgvector column")

    @field_validator("name")
    @classmethod
    def _name(cls, value: str) -> str:
        try:
            return str(TableName.parse(value))
        except ConfigurationError as error:
            raise ValueError(str(error)) from error

    @property
    def table(self) -> TableName:
        """The name, parsed."""
        return TableName.parse(self.name)


class LiveSettings(_Section):
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


class ReplaySettings(_Section):
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


class KeeperSettings(_Section):
    """What heals by itself; the workers see to it, one at a time."""

    reconcile_seconds: float = Field(
        3600.0,
        ge=0,
        description=(
            "how often all rows are looked at for those that stayed stale, whatever is asked "
            "for; 0: never"
        ),
    )
    stale_seconds: float = Field(
        60.0, gt=0, description="a row that is not true for longer is sent through replay"
    )
    restart_connector: bool = Field(
        True, description="restart a connector or task that failed; false: only report it"
    )
    restart_attempts: int = Field(
        3,
        ge=1,
        description=(
            "restarts after which a failure that comes back for the same reason is left and "
            "reported"
        ),
    )
    poll_seconds: float = Field(
        5.0, gt=0, description="how often the connector's state and the looks asked for are read"
    )


class CanarySettings(_Section):
    """The row that travels the whole path, Postgres to Postgres: while it comes back,
    changes arrive.
    """

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
        description="a replication slot that does not move for longer while the log does is a "
        "fault; above Kafka Connect's offset.flush.interval.ms, which is 60 s by default",
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.late_seconds < 2 * self.seconds:
            raise ValueError("late_seconds must be twice seconds or more")
        return self


class DeadLetterSettings(_Section):
    """Events that can never be handled, and how many of them are too many."""

    most_in_a_row: int = Field(
        100, ge=0, description="bad events of a topic in a row before a worker stops; 0: no limit"
    )
    most_share: float = Field(
        0.5,
        ge=0,
        le=1,
        description="share of bad events in a topic above which a worker stops; 0: no limit",
    )
    window_seconds: float = Field(60.0, gt=0, description="time over which that share is taken")
    least_events: int = Field(
        200, ge=1, description="events of a topic in that time before the share counts"
    )
    max_record_bytes: int = Field(
        8_388_608,
        ge=1_048_576,
        le=100_000_000,
        description=(
            "largest dead letter; must exceed the largest record of the change topics by 64 KiB "
            "for headers"
        ),
    )


class WatchdogSettings(_Section):
    """When a hung worker terminates itself so that it is restarted."""

    idle_seconds: float = Field(
        60.0,
        gt=0,
        description="exit after so long without an assignment, or without progress while "
        "events wait",
    )
    batch_seconds: float = Field(
        900.0,
        gt=0,
        description=(
            "budget of a part of a batch, retries included: about 12,000 characters, or one "
            "longer text"
        ),
    )
    loop_seconds: float = Field(
        60.0, gt=0, description="exit when the event loop hangs for this long"
    )


class GradeSettings(_Section):
    """Similarities above which an answer is good, or excellent. The defaults are meant
    for bge-m3.
    """

    good: float = Field(0.70, ge=-1, le=1)
    excellent: float = Field(0.85, ge=-1, le=1)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.good > self.excellent:
            raise ValueError("good must not be above excellent")
        return self


class ScoreSettings(_Section):
    """Answers compared with reference answers."""

    table: str = Field(
        "public.answer_bank", description="table of the stored answers, one of [[tables]]"
    )
    question: str = Field(
        "question_id", min_length=1, description="its column with the key of the question"
    )
    where: str | None = Field(
        None, description="SQL condition: which stored answers are references; all when unset"
    )
    grades: dict[str, GradeSettings] = Field(
        default_factory=dict,
        description="by name of the model, similarities above which an answer is `good` (0.70 for a "
        ""
        "model without an "
        "entry) and `excellent` (0.85); `vectrue score calibrate` proposes them",
    )


class MetricsSettings(_Section):
    """Prometheus endpoints of the workers, on loopback."""

    live_port: int | None = Field(
        None, ge=1, le=65535, description="port of the live worker; off when unset"
    )
    replay_port: int | None = Field(
        None, ge=1, le=65535, description="port of the replay worker; off when unset"
    )


MOST_INPUTS = 10_000
"""Texts in a request for embeddings, whatever is set: more are refused before one of
them is looked at.
"""


class ServeSettings(_Section):
    """The HTTP server."""

    host: str = Field(
        "127.0.0.1",
        min_length=1,
        description="address to listen on; beyond loopback a token is needed",
    )
    port: int = Field(8000, ge=1, le=65535, description="port to listen on")
    token: SecretStr | None = Field(
        None,
        description=(
            "what clients send as `Authorization: Bearer`: 16 printable characters or more; set "
            "it by variable"
        ),
    )
    linger_ms: float = Field(
        5.0, ge=0, description="longest wait of a text for others to share its model batch"
    )
    batch_size: int = Field(32, ge=1, description="most texts in a model batch; 1: each by itself")
    queue: int = Field(
        256,
        ge=1,
        description="most requests in hand; the next one is answered 503 with Retry-After",
    )
    request_seconds: float = Field(
        30.0, gt=0, description="a request that takes longer is answered 504"
    )
    max_body_bytes: int = Field(1_048_576, ge=1024, description="a larger request is answered 413")
    max_inputs: int = Field(
        2048, ge=1, le=MOST_INPUTS, description="most texts in a request for embeddings"
    )
    database_connections: int = Field(
        4, ge=1, le=64, description="connections to Postgres, a thread each"
    )
    coverage_seconds: float = Field(
        60.0,
        gt=0,
        description=(
            "between two looks at how much of a table a search can find; beside the requests"
        ),
    )
    query_log: Literal["off", "hashed", "text"] = Field(
        "off",
        description=(
            "keep searches in `vectrue.queries`: what was found, and the query's HMAC or its text"
        ),
    )
    query_log_days: float = Field(
        30.0, gt=0, description="a logged search is deleted after so long"
    )
    query_log_secret: SecretStr | None = Field(
        None,
        description="key of the HMAC, written as `token` is; unset: made at each start, so that "
        "equal queries are recognised only until the server ends",
    )

    @field_validator("token", "query_log_secret")
    @classmethod
    def _secret(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None:
            return None
        secret = value.get_secret_value()
        if len(secret) < 16 or not secret.isascii() or not secret.isprintable() or " " in secret:
            raise ValueError(
                "use 16 or more printable ASCII characters without spaces, as of `openssl rand "
                "-hex 32`"
            )
        return value


class QualitySettings(_Section):
    """Judged queries that `serve` asks again and again, as a user would."""

    queries: dict[str, str] = Field(
        default_factory=dict,
        description="file of judged queries by the table that their keys are of, as in "
        '`"public.questions" = "queries.jsonl"`; off when empty',
    )
    every_seconds: float = Field(
        3600.0,
        gt=0,
        description="how often they are asked; also at once when another model is served",
    )

    @field_validator("queries")
    @classmethod
    def _tables(cls, value: dict[str, str]) -> dict[str, str]:
        try:
            return {str(TableName.parse(name)): file for name, file in value.items()}
        except ConfigurationError as error:
            raise ValueError(str(error)) from error


class LogSettings(_Section):
    """Logs, on stderr."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="least severe level shown"
    )
    format: Literal["auto", "console", "json"] = Field(
        "auto", description="auto: console on a terminal, else JSON"
    )
