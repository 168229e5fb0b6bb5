"""How the arguments that several commands take are read."""

import re

import typer

from connectors.postgres.session import Session
from schemas.duration import parse_duration
from schemas.settings.reading import Settings

# Characters of a wrong argument that its error quotes.
_SHOWN = 40


def count_or_all(text: str, option: str) -> int | None:
    """Read a number of rows.

    Args:
        text: `1000`, or `all`.
        option: named in the error, as it is typed.

    Returns:
        The number, at least 1; None for `all`.

    Raises:
        BadParameter: it is neither.
    """
    if text == "all":
        return None
    # Postgres takes a bigint, and int() would take signs, spaces and other digits.
    if not re.fullmatch("[0-9]{1,18}", text) or int(text) == 0:
        raise typer.BadParameter(
            f"{text[:_SHOWN]!r} is neither a number of rows nor all", param_hint=option
        )
    return int(text)


def seconds(text: str, option: str | None = None) -> float:
    """Read a duration: `30s`, `5m`, `1h30m`.

    Args:
        text: as it was typed.
        option: named in the error; typer names the option itself when left out.

    Returns:
        Seconds, not negative.

    Raises:
        BadParameter: it is not a duration.
    """
    try:
        return parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from error


def open_session(settings: Settings, command: str) -> Session:
    """Return a session with the rights of the workers; it connects when it is first used.

    Args:
        settings: name the database.
        command: appears in the session's application_name.
    """
    return Session(settings.postgres.dsn, role=command, prefix=settings.kafka.topic_prefix)
