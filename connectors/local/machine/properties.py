"""How the parts of the local stack are configured. docker-compose.yml says the same; a
test compares them.

Hazard: Java reads a properties file as ISO-8859-1, so everything outside ASCII is
written as an escape.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

DATABASE: Final = "interview"

POSTGRES: Final[Mapping[str, str]] = {
    "wal_level": "logical",
    "max_connections": "200",
    "max_replication_slots": "64",
    "max_wal_senders": "64",
    "max_active_replication_origins": "64",
    # A slot that nobody reads must not fill the disk; `vectrue doctor` asks for the
    # same of every server.
    "max_slot_wal_keep_size": "4GB",
    "max_wal_size": "512MB",
    "shared_buffers": "128MB",
    "fsync": "on",
    "timezone": "UTC",
    "log_timezone": "UTC",
}

BROKER: Final[Mapping[str, str]] = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAINTEXT",
    "auto.create.topics.enable": "false",
    # After a crash the broker is let in again when the session of its earlier life has
    # ended: 9 s by default.
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
    "group.initial.rebalance.delay.ms": "0",
    "log.cleaner.dedupe.buffer.size": "2097152",
    "offsets.topic.num.partitions": "4",
    "offsets.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "1",
    "transaction.state.log.replication.factor": "1",
}

CONNECT: Final[Mapping[str, str]] = {
    "group.id": "connect",
    "key.converter": "org.apache.kafka.connect.json.JsonConverter",
    "key.converter.schemas.enable": "false",
    "value.converter": "org.apache.kafka.connect.json.JsonConverter",
    "value.converter.schemas.enable": "false",
    "config.storage.topic": "connect-configs",
    "config.storage.replication.factor": "1",
    "offset.storage.topic": "connect-offsets",
    "offset.storage.partitions": "1",
    "offset.storage.replication.factor": "1",
    "status.storage.topic": "connect-status",
    "status.storage.partitions": "1",
    "status.storage.replication.factor": "1",
    "offset.flush.interval.ms": "1000",
    "plugin.discovery": "only_scan",
    "scheduled.rebalance.max.delay.ms": "0",
    "connector.client.config.override.policy": "All",
}

# Measured on 2 cores: the serial collector and the first compiler tier start fastest
# and stay near 200 and 420 MB.
_JVM: Final = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData")
BROKER_JVM: Final = ("-Xms128m", "-Xmx384m", *_JVM)
CONNECT_JVM: Final = ("-Xmx384m", *_JVM)


@dataclass(frozen=True)
class SideDoor:
    """A second listener of the broker: who comes in by it is told to come to another
    port from then on.

    Attributes:
        port: where the broker listens.
        advertised: the port that clients are sent to, for example that of a proxy in
            front of `port`.
    """

    port: int
    advertised: int


def broker(port: int, controller_port: int, side_door: SideDoor | None = None) -> dict[str, str]:
    """The broker's properties on these loopback ports; its data lies in `data` of its
    working directory.
    """
    listener = f"PLAINTEXT://127.0.0.1:{port}"
    if side_door is not None:
        plain = broker(port, controller_port)
        return {
            **plain,
            "listeners": f"{plain['listeners']},SIDE://127.0.0.1:{side_door.port}",
            "advertised.listeners": f"{listener},SIDE://127.0.0.1:{side_door.advertised}",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SIDE:PLAINTEXT",
        }
    return {
        **BROKER,
        "listeners": f"{listener},CONTROLLER://127.0.0.1:{controller_port}",
        "advertised.listeners": listener,
        "controller.quorum.bootstrap.servers": f"127.0.0.1:{controller_port}",
        "log.dirs": "data",
    }


def connect(port: int, broker_port: int) -> dict[str, str]:
    """Kafka Connect's properties: REST on this loopback port, the broker on the other."""
    return {
        **CONNECT,
        "bootstrap.servers": f"127.0.0.1:{broker_port}",
        "listeners": f"http://127.0.0.1:{port}",
    }


def write(file: Path, properties: Mapping[str, str]) -> None:
    """Write a Java properties file, which may hold passwords."""
    write_private(
        file, "".join(f"{_escape(name)}={_escape(value)}\n" for name, value in properties.items())
    )


def write_private(file: Path, text: str) -> None:
    """Write an ASCII file that nobody else can read, from the first byte."""
    file.unlink(missing_ok=True)
    file.touch(mode=0o600)
    file.write_text(text, encoding="ascii")


def _escape(text: str) -> str:
    units = text.replace("\\", "\\\\").encode("utf-16-be")
    codes = (int.from_bytes(units[i : i + 2], "big") for i in range(0, len(units), 2))
    return "".join(chr(code) if 0x20 <= code < 0x7F else f"\\u{code:04x}" for code in codes)
