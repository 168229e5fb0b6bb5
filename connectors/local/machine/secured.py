"""What makes a stack secure: TLS everywhere, SCRAM users, and a broker that allows only
what is granted.

Kafka has three users. `admin` may do everything; `connect` is Kafka Connect; `vectrue`
is what `vectrue local env` prints, and has the rights of `connectors/kafka/rights.py`
for topics with the prefix of the default settings.

Hazards:
- The broker talks to its controller by certificate, since SCRAM passwords are read from
  the controller; whoever has DIR/tls/server.pem is therefore a superuser of the broker.
- Connect's REST interface stays without TLS, on loopback: whoever can reach it reads
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
    """Options of a librdkafka client, as in `kafka.security`; none when the stack is
    not secure.
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
    """Arguments with which the log folder is formatted: the users, which must be there
    before the first start.
    """
    passwords = state.secure.passwords if state.secure else {}
    return [
        argument
        for user, password in passwords.items()
        for argument in ("--add-scram", f"{_MECHANISM}=[name={user},password={password}]")
    ]


def broker(state: StackState, directory: Path) -> dict[str, str]:
    """Properties of the broker, on top of those of every stack."""
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
    """Properties of Kafka Connect: its own clients and those of its connectors."""
    options = {
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": _MECHANISM,
        "sasl.jaas.config": _jaas(state, CONNECT_USER),
        **_trust(directory),
    }
    return {
        f"{who}{name}": value
        for who in ("", "producer.", "consumer.", "admin.")
        for name, value in options.items()
    }


def rights() -> Mapping[str, Sequence[Right]]:
    """What each user is granted when the stack starts."""
    prefix = KafkaSettings().topic_prefix
    storage = [CONNECT[f"{kind}.storage.topic"] for kind in ("config", "offset", "status")]
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
