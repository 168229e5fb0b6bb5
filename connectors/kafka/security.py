"""`kafka.security` as aiokafka, the client below Faust, understands it.

confluent-kafka takes the options as they are. Here they become one `Transport`, of
which streams/worker/app.py makes Faust's credentials. An option that Faust's client
cannot honour is refused by name, never ignored: otherwise one client of a worker would
be secured as configured and the other one not.

Hazard: a `Transport` holds the password; it is shown without it.
"""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

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
        ConfigurationError: an option that Faust's client cannot honour, a wrong value, a
            file that cannot be read. The message names the option, never a password.
    """
    known = ("security.protocol", *_SASL, *_SSL)
    for name in security:
        if name not in known:
            raise _wrong(
                name,
                "is not an option that both Kafka clients of a worker honour",
                f"use only {', '.join(known)}",
            )
    protocol = security.get("security.protocol", "PLAINTEXT").upper()
    if protocol not in _PROTOCOLS:
        raise _wrong(
            "security.protocol", f"is {protocol}", f"choose one of {', '.join(_PROTOCOLS)}"
        )
    has_login, has_tls = protocol.startswith("SASL"), protocol.endswith("SSL")
    if not has_login:
        _refuse_unused(security, _SASL, protocol)
    if not has_tls:
        _refuse_unused(security, _SSL, protocol)
    context = _context(security) if has_tls else None
    if not has_login:
        return Transport(protocol, context=context)
    return _with_login(security, protocol, context)


def _refuse_unused(security: Mapping[str, str], options: tuple[str, ...], protocol: str) -> None:
    for name in security:
        if name in options:
            raise _wrong(
                name,
                f"has no effect with security.protocol {protocol}",
                "correct security.protocol",
            )


def _with_login(
    security: Mapping[str, str], protocol: str, context: ssl.SSLContext | None
) -> Transport:
    # librdkafka takes either name, and GSSAPI where there is none.
    configured = security.get("sasl.mechanisms", "GSSAPI")
    mechanism = security.get("sasl.mechanism", configured).upper()
    if mechanism not in _MECHANISMS:
        known = ", ".join(_MECHANISMS)
        raise _wrong("sasl.mechanism", f"is {mechanism}", f"choose one of {known}")
    for name in ("sasl.username", "sasl.password"):
        if not security.get(name):
            raise _wrong(name, f"is missing, which {mechanism} needs", "set it")
    return Transport(
        protocol,
        mechanism=mechanism,
        username=security["sasl.username"],
        password=security["sasl.password"],
        context=context,
    )


def _context(security: Mapping[str, str]) -> ssl.SSLContext:
    try:
        context = _trusting(security.get("ssl.ca.location"), security.get("ssl.ca.pem"))
    except (OSError, ValueError) as error:
        raise _wrong(
            "ssl.ca.location", f"cannot be used ({_reason(error)})", "name a PEM file"
        ) from error
    _load_certificate(context, security)
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


def _load_certificate(context: ssl.SSLContext, security: Mapping[str, str]) -> None:
    certificate = security.get("ssl.certificate.location")
    key = security.get("ssl.key.location")
    if certificate:
        # An empty password rather than none: OpenSSL would ask for it on the terminal.
        password = security.get("ssl.key.password", "")
        try:
            context.load_cert_chain(certificate, key, password)
        except (OSError, ValueError) as error:
            why = f"cannot be used with ssl.key.location ({_reason(error)})"
            raise _wrong(
                "ssl.certificate.location", why, "name PEM files that belong together"
            ) from error
    elif key:
        raise _wrong("ssl.key.location", "has no ssl.certificate.location", "set both")


def _trusting(location: str | None, pem: str | None) -> ssl.SSLContext:
    """A client's context that trusts these authorities, or those of the system."""
    # librdkafka looks for the system's where none is named, and calls that "probe".
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
