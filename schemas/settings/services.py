"""The services that vectrue connects to: Postgres, Kafka and Kafka Connect.

Hazard: `postgres.dsn`, `postgres.admin_dsn` and `kafka.security` may hold secrets: they
are shown only through `Settings.masked()`.
"""

from typing import Literal

from pydantic import (
    Field,
)

from schemas.settings.section import NameOrUnset, Section, SlotName


class PostgresSettings(Section):
    """The database that holds the rows."""

    dsn: str = Field(
        "postgresql://vectrue@localhost/interview", description="what the worker connects with"
    )
    admin_dsn: str | None = Field(
        None, description="what `init` connects with (owner of the tables); dsn when unset"
    )
    publication: NameOrUnset = Field(
        "",
        description=(
            "publication that the connector reads; made from kafka.topic_prefix when unset"
        ),
    )
    publication_columns: Literal["all", "keys"] = Field(
        "all",
        description=(
            "what Postgres sends to Kafka Connect of a changed row; Kafka gets the "
            "key alone either way. all: new keys and key types need no `init`, but "
            "Connect must hold the longest row in memory, several times. keys: texts "
            "stay in Postgres, but it refuses ALTER COLUMN TYPE of a key column, and "
            "after a new primary key or REPLICA IDENTITY FULL every UPDATE of the "
            "application fails until `init`"
        ),
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


class KafkaSettings(Section):
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


class ConnectSettings(Section):
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
            "CA file, on Kafka Connect's machine, for TLS to Postgres; sslrootcert of"
            " the DSN when unset"
        ),
    )
    poll_interval_ms: int = Field(
        5, ge=1, description="Debezium's wait when nothing changed; most of the capture latency"
    )
    heartbeat_seconds: int = Field(
        10, ge=1, description="how often the slot is moved while the tables are quiet"
    )
