"""The settings of the local stack's parts. Those of docker-compose.yml are the same; a
test compares them.
"""

import struct
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
    # A slot without a reader must not fill the disk. `vectrue doctor` checks the same
    # on every server.
    "max_slot_wal_keep_size": "4GB",
    "max_wal_size": "512MB",
    "shared_buffers": "128MB",
    "fsync": "on",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


def postgres(major: int) -> dict[str, str]:
    """The settings that this major version knows."""
    settings = dict(POSTGRES)
    # Since PostgreSQL 18. Before it, max_replication_slots is the limit of origins too.
    if major < 18:
        del settings["max_active_replication_origins"]
    return settings


BROKER: Final[Mapping[str, str]] = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAINTEXT",
    "auto.create.topics.enable": "false",
    # After a crash the broker cannot join before its previous session has expired: 9 s
    # by default.
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
class SecondListener:
    """A second listener of the broker, which sends its clients to another port.

    Attributes:
        port: where the broker listens.
        advertised: the port that clients connect to from then on, for example that of a
            proxy in front of `port`.
    """

    port: int
    advertised: int


def broker(
    port: int, controller_port: int, second_listener: SecondListener | None = None
) -> dict[str, str]:
    """Return the broker's properties; its data is in `data` of its working directory.

    Args:
        port: of the listener on loopback.
        controller_port: of the controller on loopback.
        second_listener: if the broker has one.
    """
    controller = f"127.0.0.1:{controller_port}"
    advertised = [f"PLAINTEXT://127.0.0.1:{port}"]
    listeners = [*advertised, f"CONTROLLER://{controller}"]
    protocols = ["PLAINTEXT:PLAINTEXT", "CONTROLLER:PLAINTEXT"]
    properties = {
        **BROKER,
        "controller.quorum.bootstrap.servers": controller,
        "log.dirs": "data",
    }
    if second_listener is not None:
        listeners.append(f"SIDE://127.0.0.1:{second_listener.port}")
        advertised.append(f"SIDE://127.0.0.1:{second_listener.advertised}")
        protocols.append("SIDE:PLAINTEXT")
        # Naming one protocol drops Kafka's default for the others.
        properties["listener.security.protocol.map"] = ",".join(protocols)
    properties["listeners"] = ",".join(listeners)
    properties["advertised.listeners"] = ",".join(advertised)
    return properties


def connect(port: int, broker_port: int) -> dict[str, str]:
    """Return Kafka Connect's properties.

    Args:
        port: of the REST interface on loopback.
        broker_port: of the broker on loopback.
    """
    return {
        **CONNECT,
        "bootstrap.servers": f"127.0.0.1:{broker_port}",
        "listeners": f"http://127.0.0.1:{port}",
    }


def write(file: Path, properties: Mapping[str, str]) -> None:
    """Write a Java properties file, which may hold passwords."""
    lines = []
    for name, value in properties.items():
        lines.append(f"{_escape(name)}={_escape(value)}\n")
    write_private(file, "".join(lines))


def write_private(file: Path, text: str) -> None:
    """Write an ASCII file that no other user can read, from the first byte on."""
    file.unlink(missing_ok=True)
    file.touch(mode=0o600)
    file.write_text(text, encoding="ascii")


def _escape(text: str) -> str:
    # Java reads a properties file as ISO-8859-1, in which each other character is an
    # escaped UTF-16 unit.
    units = text.replace("\\", "\\\\").encode("utf-16-be")
    escaped = ""
    for (code,) in struct.iter_unpack(">H", units):
        escaped += chr(code) if 0x20 <= code < 0x7F else f"\\u{code:04x}"
    return escaped
