"""`kafka.security` as Faust's client gets it, and the list of rights."""

import secrets
import ssl
from pathlib import Path

import pytest
from confluent_kafka import KafkaError

from connectors.kafka import errors, rights, security
from connectors.kafka.security import Transport, transport
from schemas.errors import ConfigurationError
from schemas.settings.reading import Settings
from streams.worker import app
from tests.support.root import ROOT

SCRAM = {"sasl.mechanism": "SCRAM-SHA-512", "sasl.username": "u", "sasl.password": "p"}


def test_each_protocol_is_mapped() -> None:
    """The four protocols of Kafka, with the login and the TLS context that each needs."""
    assert transport({}) == Transport("PLAINTEXT")
    assert transport({"security.protocol": "sasl_plaintext", **SCRAM}) == Transport(
        "SASL_PLAINTEXT", "SCRAM-SHA-512", "u", "p"
    )
    tls = transport({"security.protocol": "SSL"})
    assert tls.mechanism is None
    assert tls.context is not None
    both = transport({"security.protocol": "SASL_SSL", **SCRAM, "sasl.mechanisms": "PLAIN"})
    assert both.context is not None
    assert both.password == "p"
    assert "password" not in repr(both)


def test_the_broker_is_verified_unless_it_is_switched_off() -> None:
    """Chain and host name are checked by default; each can be switched off, as in
    librdkafka.
    """
    default = transport({"security.protocol": "SSL"}).context
    nameless = transport(
        {"security.protocol": "SSL", "ssl.endpoint.identification.algorithm": "none"}
    ).context
    blind = transport(
        {"security.protocol": "SSL", "enable.ssl.certificate.verification": "false"}
    ).context
    assert default is not None
    assert nameless is not None
    assert blind is not None
    assert (default.check_hostname, default.verify_mode) == (True, ssl.CERT_REQUIRED)
    assert (nameless.check_hostname, nameless.verify_mode) == (False, ssl.CERT_REQUIRED)
    assert (blind.check_hostname, blind.verify_mode) == (False, ssl.CERT_NONE)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"security.protocol": "TLS"}, "security.protocol is TLS"),
        (
            {"security.protocol": "SSL", "ssl.cipher.suites": "x"},
            "ssl.cipher.suites is not an option",
        ),
        (
            {"sasl.oauthbearer.client.secret": "x"},
            "sasl.oauthbearer.client.secret is not an option",
        ),
        ({"security.protocol": "SASL_SSL", "sasl.username": "u"}, "sasl.mechanism is GSSAPI"),
        (
            {"security.protocol": "SASL_SSL", **SCRAM, "sasl.password": ""},
            "sasl.password is missing",
        ),
        ({"sasl.username": "u"}, "sasl.username has no effect with security.protocol PLAINTEXT"),
        (
            {"security.protocol": "SASL_PLAINTEXT", **SCRAM, "ssl.ca.location": "x"},
            "ssl.ca.location has no effect",
        ),
        (
            {"security.protocol": "SSL", "ssl.ca.location": "/nowhere.pem"},
            "ssl.ca.location cannot be used",
        ),
        ({"security.protocol": "SSL", "ssl.ca.pem": "no pem"}, "cannot be used"),
        (
            {"security.protocol": "SSL", "ssl.certificate.location": "/nowhere.pem"},
            "ssl.certificate.location cannot",
        ),
        (
            {"security.protocol": "SSL", "ssl.key.location": "/k.pem"},
            "has no ssl.certificate.location",
        ),
        (
            {"security.protocol": "SSL", "ssl.endpoint.identification.algorithm": "x"},
            "identification.algorithm is x",
        ),
        (
            {"security.protocol": "SSL", "enable.ssl.certificate.verification": "maybe"},
            "verification is maybe",
        ),
    ],
)
def test_what_faust_cannot_honour_is_refused_by_name(options: dict[str, str], named: str) -> None:
    """No option is ignored in silence, no value is guessed, and no password is shown."""
    password = secrets.token_hex(8)
    given = (
        {**options, "sasl.password": password} if options.get("sasl.password") == "p" else options
    )
    with pytest.raises(ConfigurationError, match=named) as caught:
        transport(given)
    assert password not in str(caught.value)


def test_fausts_credentials(tmp_path: Path) -> None:
    """Faust is given the mechanism, the login and the TLS context; nothing without
    security.
    """

    def credentials(**options: str) -> object:
        return app._options(Settings(kafka={"security": options}))["broker_credentials"]

    assert credentials() is None
    sasl = credentials(**{"security.protocol": "SASL_SSL", **SCRAM})
    assert (sasl.protocol.value, sasl.mechanism.value) == ("SASL_SSL", "SCRAM-SHA-512")  # type: ignore[attr-defined]  # Faust's class, checked by its values
    assert (sasl.username, sasl.password) == ("u", "p")  # type: ignore[attr-defined]  # likewise
    assert credentials(**{"security.protocol": "SSL"}).protocol.value == "SSL"  # type: ignore[attr-defined]  # likewise


def test_which_errors_no_retry_mends() -> None:
    """A login or a certificate that is refused is a wrong setting; a connection that
    breaks off is not.
    """
    certificate = "SSL handshake failed: certificate verify failed: broker certificate"
    broken = "Connect to ipv4#127.0.0.1:1 failed: Connection refused"
    for code, words, is_refusal in (
        (KafkaError._AUTHENTICATION, "SASL authentication error", True),
        (KafkaError._SSL, certificate, True),
        (KafkaError._SSL, "SSL handshake failed: Disconnected", False),
        (KafkaError._TRANSPORT, broken, False),
    ):
        assert errors.is_refusal(KafkaError(code, words)) is is_refusal


def test_one_user_for_everything_has_each_right_once() -> None:
    """The union over the roles, without the connector's."""
    every = rights.of_vectrue("p")
    assert len({(r.resource, r.name, r.operation, r.prefixed) for r in every}) == len(every)
    said = {str(right) for right in every}
    assert said >= {
        "READ on group p-live",
        "CREATE on topic p.*",
        "WRITE on topic p.*",
        "DELETE on topic p.dlq",
    }
    assert not said & {
        "DESCRIBE on group p-live",
        "WRITE on topic p.dlq",
        "WRITE on topic __debezium-heartbeat.p",
    }


def test_the_error_for_a_missing_right_holds_the_command() -> None:
    """Who, which right, and the command of Kafka that grants it; exit code 78."""
    settings = Settings(kafka={"security": {"security.protocol": "SASL_PLAINTEXT", **SCRAM}})
    right = next(right for right in rights.of("live", "p") if right.resource == "group")
    error = errors.permission_denied(settings, [right])
    assert error.exit_code == 78
    assert "permission denied by Kafka: user u lacks READ on group p-live" in str(error)
    assert "--allow-principal 'User:u' --operation Read --group 'p-live'" in str(error)


def test_the_documented_rights_are_those_of_the_code() -> None:
    """docs/security.md shows what `vectrue init --print-acls` prints."""
    page = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    assert rights.script(Settings()) in page
    assert all(
        f"`{name}`" in page
        for name in ("security.protocol", *security._SASL[:1], *security._SASL[2:], *security._SSL)
    )


def test_a_reason_is_never_empty() -> None:
    """Some answers of a broker carry a code and no words."""
    bare, prefixed, plain = (
        KafkaError(15, ""),
        KafkaError(15, "ConsumerGroupDescribe: "),
        KafkaError(15, "not here"),
    )
    said = [errors.reason(problem) for problem in (bare, prefixed, plain)]
    assert said == [
        "COORDINATOR_NOT_AVAILABLE",
        "ConsumerGroupDescribe: COORDINATOR_NOT_AVAILABLE",
        "not here",
    ]
