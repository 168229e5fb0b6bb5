"""What makes a stack secure: TLS everywhere, SCRAM users, and a broker that allows only
what is granted.

Kafka has three users. `admin` may do everything. `connect` is Kafka Connect. `vectrue`
is what `vectrue local env` prints; it has the rights of `connectors/kafka/rights.py`
for topics with the prefix of the default settings.

Hazards:
- The broker authenticates to its controller by certificate, since it reads SCRAM
  passwords from the controller. So the owner of DIR/tls/server.pem is a superuser.
- Connect's REST interface stays without TLS, on loopback: anyone who can reach it reads
  the connector's configuration, and the database password in it.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from connectors.kafka import rights as kafka_rights
from connectors.kafka.rights import Right
from connectors.local.machine import certificates
from connectors.local.machine.properties import CONNECT
from connectors.local.machine.state import StackState
from schemas.settings.sections import KafkaSettings

ADMIN: Final = "admin"
CONNECT_USER: Final = "connect"
WORKER: Final = "vectrue"
USERS: Final = (ADMIN, CONNECT_USER, WORKER)

_MECHANISM: Final = "SCRAM-SHA-512"
_LOGIN: Final = "org.apache.kafka.common.security.scram.ScramLoginModule"


def client(state: StackState, directory: Path, user: str) -> dict[str, str]:
    """Return the options of a librdkafka client, as in `kafka.security`; empty if the
    stack is not secure.
    """
    if state.secure is None:
        return {}
    return {
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": _MECHANISM,
        "sasl.username": user,
        "sasl.password": state.secure.passwords[user],
        "ssl.ca.location": str(certificates.authority(directory)),
    }


def format_arguments(state: StackState) -> list[str]:
    """Return arguments that format the log folder with a secure stack's users."""
    passwords = state.secure.passwords if state.secure else {}
    arguments = []
    for user, password in passwords.items():
        # Before the first start, since the broker itself logs in as one of them.
        arguments.append("--add-scram")
        arguments.append(f"{_MECHANISM}=[name={user},password={password}]")
    return arguments


def broker(state: StackState, directory: Path) -> dict[str, str]:
    """Return properties of the broker, on top of those of every stack."""
    listener = f"SASL_SSL://127.0.0.1:{state.kafka_port}"
    return {
        "listeners": f"{listener},CONTROLLER://127.0.0.1:{state.controller_port}",
        "advertised.listeners": listener,
        "listener.security.protocol.map": "CONTROLLER:SSL,SASL_SSL:SASL_SSL",
        "inter.broker.listener.name": "SASL_SSL",
        "listener.name.controller.ssl.client.auth": "required",
        "sasl.enabled.mechanisms": f"{_MECHANISM},SCRAM-SHA-256",
        "sasl.mechanism.inter.broker.protocol": _MECHANISM,
        "listener.name.sasl_ssl.sasl.jaas.config": _jaas(state, ADMIN),
        "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config": _jaas(state, ADMIN),
        "listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config": _jaas(state, ADMIN),
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(certificates.server(directory)),
        **_trust(directory),
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": f"User:{ADMIN};User:CN={certificates.NAME}",
        "allow.everyone.if.no.acl.found": "false",
    }


def connect(state: StackState, directory: Path) -> dict[str, str]:
    """Return properties of Kafka Connect: its own clients and those of its connectors."""
    options = {
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": _MECHANISM,
        "sasl.jaas.config": _jaas(state, CONNECT_USER),
        **_trust(directory),
    }
    properties = dict(options)
    for client_of_connectors in ("producer", "consumer", "admin"):
        for name, value in options.items():
            properties[f"{client_of_connectors}.{name}"] = value
    return properties


def rights() -> Mapping[str, Sequence[Right]]:
    """Return what each user is granted when the stack starts."""
    prefix = KafkaSettings().topic_prefix
    storage = [
        CONNECT["config.storage.topic"],
        CONNECT["offset.storage.topic"],
        CONNECT["status.storage.topic"],
    ]
    return {
        WORKER: kafka_rights.of_vectrue(prefix),
        CONNECT_USER: [
            *kafka_rights.of_connect_cluster(CONNECT["group.id"], storage),
            *kafka_rights.of("connect", prefix),
        ],
    }


def _trust(directory: Path) -> dict[str, str]:
    return {
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(certificates.authority(directory)),
    }


def _jaas(state: StackState, user: str) -> str:
    password = state.secure.passwords[user] if state.secure else ""
    return f'{_LOGIN} required username="{user}" password="{password}";'
