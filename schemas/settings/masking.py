"""Masking: what may be shown of a connection string or of a client's options."""

import re
from collections.abc import Mapping
from urllib.parse import unquote

# What the names of librdkafka's secret options hold.
_SECRET = ("password", "secret", "jaas", "token", "key.pem", "private", "oauthbearer.config")


def mask_options(options: Mapping[str, str]) -> dict[str, str]:
    """Librdkafka options with every secret replaced by `***`."""
    masked = dict(options)
    for name in masked:
        if any(word in name.lower() for word in _SECRET):
            masked[name] = "***"
    return masked


def mask_dsn(dsn: str) -> str:
    """Replace every password in a URL, or in libpq's `key=value` form, by `***`.

    In doubt it hides too much: a URL whose password holds an unescaped `@` or `/` is
    cut at the last `@`, and what is neither form is hidden whole.
    """
    scheme, separator, rest = dsn.partition("://")
    if separator and scheme.replace("+", "").isalnum():
        return f"{scheme}://{_mask_url(rest)}"
    if "=" not in dsn:
        return "***" if dsn else ""
    # libpq quotes a value with spaces in single quotes; an unclosed quote hides the rest.
    value = r"('(?:[^'\\]|\\.)*(?:'|$)|(?:\\.|[^\s\\])*)"
    return re.sub(r"(password\s*=\s*)" + value, r"\1***", dsn, flags=re.IGNORECASE | re.DOTALL)


def _mask_url(rest: str) -> str:
    # The last `@`, since a password may hold one that was not escaped.
    who, at, where = rest.rpartition("@")
    user, colon, _ = who.partition(":")
    shown = f"{user}:***@" if colon else f"{who}{at}"
    address, mark, query = where.partition("?")
    if not mark:
        return f"{shown}{address}"
    masked: list[str] = []
    for pair in query.split("&"):
        name = pair.partition("=")[0]
        # A name in a query may be percent-encoded, which libpq decodes as well.
        masked.append(f"{name}=***" if "password" in unquote(name).lower() else pair)
    return f"{shown}{address}?{'&'.join(masked)}"
