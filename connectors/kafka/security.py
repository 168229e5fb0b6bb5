"""`kafka.security` for the second client: librdkafka's options as aiokafka, below
Faust, understands them.

confluent-kafka takes the options as they are. Here they become one `Transport`, of
which streams/worker/app.py makes Faust's credentials. An option that Faust's client
cannot honour is refused by name, never ignored: otherwise one client of a worker would
be secured as asked and the other one not.

Hazard: a `Transport` holds the password; it is shown without it.
"""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from confluent_kafka import KafkaError

from schemas.errors import ConfigurationError

_PROTOCOLS: Final = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
_MECHANISMS: Final = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
_SASL: Final = ("sasl.mechanism", "sasl.mechanisms", "sasl.username", "sasl.password")
_SSL: Final = (
    "ssl.ca.location",
    "ssl.ca.pem",
    "ssl.certificate.location",
    "ssl.key.location",
    "ssl.key.password",
    "ssl.endpoint.identification.algorithm",
    "enable.ssl.certificate.verification",
)
_TRUE: Final = ("true", "t", "1")
_FALSE: Final = ("false", "f", "0")
_WRONG: Final = {
    "_AUTHENTICATION",
    "SASL_AUTHENTICATION_FAILED",
    "UNSUPPORTED_SASL_MECHANISM",
    "CLUSTER_AUTHORIZATION_FAILED",
    "_INVALID_ARG",
    "_UNSUPPORTED_FEATURE",
}


@dataclass(frozen=True, slots=True)
class Transport:
    """How a client speaks to the broker.

    Attributes:
        protocol: one of Kafka's four.
        mechanism: of SASL; None without SASL.
        username: of SASL.
        password: of SASL.
        context: of TLS; None without TLS.
    """

    protocol: str
    mechanism: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    context: ssl.SSLContext | None = field(default=None, compare=False)


def transport(security: Mapping[str, str]) -> Transport:
    """Read `kafka.security`.

    Raises:
        ConfigurationError: an option that Faust's client cannot honour, a value that is
            none, a file that cannot be read. The message names the option, never a
            password.
    """
    for name in security:
        if name not in ("security.protocol", *_SASL, *_SSL):
            known = ", ".join(("security.protocol", *_SASL, *_SSL))
            raise _wrong(
                name,
                "is not an option that both Kafka clients of a worker honour",
                f"use only {known}",
            )
    protocol = security.get("security.protocol", "PLAINTEXT").upper()
    if protocol not in _PROTOCOLS:
        raise _wrong(
            "security.protocol", f"is {protocol}", f"choose one of {', '.join(_PROTOCOLS)}"
        )
    unused = [name for name in security if name in _SASL and not protocol.startswith("SASL")]
    unused += [name for name in security if name in _SSL and not protocol.endswith("SSL")]
    if unused:
        raise _wrong(
            unused[0],
            f"has no effect with security.protocol {protocol}",
            "correct security.protocol",
        )
    context = _context(security) if protocol.endswith("SSL") else None
    if not protocol.startswith("SASL"):
        return Transport(protocol, context=context)
    return Transport(protocol, *_login(security), context=context)


def reason(problem: KafkaError) -> str:
    """What a client says of an error, never nothing: some answers of a broker carry a
    code and no words.
    """
    words = str(problem.str()).strip()
    return words if words and not words.endswith(":") else f"{words} {problem.name()}".strip()


def is_refusal(name: str, why: str) -> bool:
    """Whether a client's error is one of wrong settings, which no retry mends.

    Args:
        name: librdkafka's, for example `_SSL`.
        why: its sentence. TLS that breaks off for another reason than these may be the
            network's fault.
    """
    tls = (
        "certificate",
        "wrong version number",
        "alert",
        "unsupported protocol",
        "no protocols available",
    )
    return (
        name in _WRONG
        or "uthentication fail" in why
        or (name == "_SSL" and any(word in why for word in tls))
    )


def _login(security: Mapping[str, str]) -> tuple[str, str, str]:
    mechanism = security.get("sasl.mechanism", security.get("sasl.mechanisms", "GSSAPI")).upper()
    if mechanism not in _MECHANISMS:
        raise _wrong("sasl.mechanism", f"is {mechanism}", f"choose one of {', '.join(_MECHANISMS)}")
    for name in ("sasl.username", "sasl.password"):
        if not security.get(name):
            raise _wrong(name, f"is missing, which {mechanism} needs", "set it")
    return mechanism, security["sasl.username"], security["sasl.password"]


def _context(security: Mapping[str, str]) -> ssl.SSLContext:
    try:
        context = _trusting(security.get("ssl.ca.location"), security.get("ssl.ca.pem"))
    except (OSError, ValueError) as error:
        raise _wrong(
            "ssl.ca.location", f"cannot be used ({_reason(error)})", "name a PEM file"
        ) from error
    certificate, key = security.get("ssl.certificate.location"), security.get("ssl.key.location")
    if certificate:
        password = security.get("ssl.key.password", "")
        try:
            # An empty password rather than none: OpenSSL would ask for it on the
            # terminal.
            context.load_cert_chain(certificate, key, password)
        except (OSError, ValueError) as error:
            why = f"cannot be used with ssl.key.location ({_reason(error)})"
            raise _wrong(
                "ssl.certificate.location", why, "name PEM files that belong together"
            ) from error
    elif key:
        raise _wrong("ssl.key.location", "has no ssl.certificate.location", "set both")
    algorithm = security.get("ssl.endpoint.identification.algorithm", "https").lower()
    if algorithm not in ("https", "none"):
        raise _wrong(
            "ssl.endpoint.identification.algorithm", f"is {algorithm}", "choose https or none"
        )
    verifies = _flag(security, "enable.ssl.certificate.verification")
    context.check_hostname = verifies and algorithm == "https"
    if not verifies:
        context.verify_mode = ssl.CERT_NONE
    return context


def _trusting(location: str | None, pem: str | None) -> ssl.SSLContext:
    """A client's context that trusts these authorities; those of the system when none
    is named, as librdkafka does.
    """
    if location in (None, "probe"):
        return ssl.create_default_context(cadata=pem)
    path = Path(str(location))
    if path.is_dir():
        return ssl.create_default_context(capath=str(path), cadata=pem)
    return ssl.create_default_context(cafile=str(path), cadata=pem)


def _flag(security: Mapping[str, str], name: str) -> bool:
    value = security.get(name, "true").lower()
    if value not in (*_TRUE, *_FALSE):
        raise _wrong(name, f"is {value}", "choose true or false")
    return value in _TRUE


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _wrong(name: str, what: str, fix: str) -> ConfigurationError:
    return ConfigurationError(f"kafka.security {name} {what}", fix=fix)
