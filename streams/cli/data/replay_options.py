"""The options that several commands of `vectrue replay` have, and how they are read.

One notation for all: what `run` takes as `--rate` and `--max-live-lag`, `set` takes
too, there and as `rate=...`.
"""

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from connectors.clock import SystemClock
from schemas.duration import parse_past
from schemas.reports.replay import Request, is_lifted, parse_rate
from schemas.text_lines import decoded
from streams.cli.arguments import seconds

STDIN = "standard input"


class RowChoice(StrEnum):
    """Which rows a run is about."""

    MISSING = "missing"
    STALE = "stale"
    ALL = "all"


TablesOption = Annotated[
    list[str] | None, typer.Option("--table", "-t", help="only this table; may be repeated")
]
OnlyOption = Annotated[
    RowChoice | None,
    typer.Option(
        "--only",
        help=(
            "missing: no vector; stale (the default): missing, or text or model differs; all: "
            "every row"
        ),
    ),
]
WhereOption = Annotated[
    str | None, typer.Option("--where", help="SQL condition on the table's columns; may only read")
]
SinceOption = Annotated[
    str | None,
    typer.Option(
        "--since",
        metavar="TIME",
        help=(
            "only rows whose vector was last written before: 1h (more than 1 h ago), "
            "2026-01-31T12:00 (UTC)"
        ),
    ),
]
KeysOption = Annotated[
    str | None,
    typer.Option(
        "--keys", metavar="FILE|-", help="the rows by key, one per line; - is standard input"
    ),
]
RateOption = Annotated[
    str | None,
    typer.Option("--rate", help="most rows over all workers: 200/s, 200, 30/m; none: no limit"),
]
LagOption = Annotated[
    str | None,
    typer.Option(
        "--max-live-lag",
        help="wait while a live change is older: 30s, 5m; none: as in the settings",
    ),
]
ForceOption = Annotated[
    bool,
    typer.Option("--force", help="embed rows that are current too, and try quarantined ones again"),
]
ChunkOption = Annotated[
    int | None,
    typer.Option(
        "--chunk", min=1, max=10_000, help="keys in a message; replay.chunk_size when left out"
    ),
]
RunArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="[RUN]", help="its id or the beginning of it; the only unfinished run if left out"
    ),
]

_LIMITS = ("rate", "max-live-lag")


def request(
    only: RowChoice | None,
    where: str | None,
    since: str | None,
    force: bool,
    keys: str | None,
    rate: str | None,
    max_live_lag: str | None,
    chunk: int | None,
) -> Request:
    """Return what is asked for; where keys name the rows, nothing else may.

    Raises:
        BadParameter: an option is not understood, or one beside --keys names rows too.
    """
    if keys is not None:
        _require_alone((("--only", only), ("--where", where), ("--since", since)))
    # Keys name the rows, whatever their state is.
    wanted = RowChoice.ALL if keys is not None else only or RowChoice.STALE
    return Request(
        only=wanted.value,
        where=where,
        since=_time(since),
        force=force,
        keys=keys is not None,
        rate=_rate(rate, "--rate"),
        max_live_lag=_lag(max_live_lag, "--max-live-lag"),
        chunk_size=chunk,
    )


def _require_alone(others: Sequence[tuple[str, object]]) -> None:
    """Refuse options beside --keys that name rows too."""
    beside: list[str] = []
    for name, value in others:
        if value is not None:
            beside.append(name)
    if beside:
        raise typer.BadParameter(
            f"names the rows already; leave out {' and '.join(beside)}", param_hint="--keys"
        )


def limits(
    values: Sequence[str], rate: str | None, max_live_lag: str | None
) -> dict[str, float | None]:
    """Return the limits that `set` is given, by their names in the ledger.

    Args:
        values: as `rate=200/s`, `max-live-lag=30s`.
        rate: of the option --rate.
        max_live_lag: of the option --max-live-lag.

    Raises:
        BadParameter: one is not understood, is given twice, or there is none.
    """
    found: dict[str, float | None] = {}
    for written, value in _given(values, rate, max_live_lag):
        # Both spellings are taken: that of the option, and that of the ledger.
        name = written.removeprefix("--").replace("_", "-")
        if name not in _LIMITS:
            raise typer.BadParameter(f"{written!r} is neither rate=... nor max-live-lag=...")
        column = name.replace("-", "_")
        if column in found:
            raise typer.BadParameter(f"{name} is given twice")
        found[column] = _rate(value, written) if name == "rate" else _lag(value, written)
    if not found:
        raise typer.BadParameter("nothing to set: rate=200/s, max-live-lag=30s")
    return found


def _given(
    values: Sequence[str], rate: str | None, max_live_lag: str | None
) -> list[tuple[str, str]]:
    """Return each limit by the name that it was typed with, options first."""
    given: list[tuple[str, str]] = []
    if rate is not None:
        given.append(("--rate", rate))
    if max_live_lag is not None:
        given.append(("--max-live-lag", max_live_lag))
    for item in values:
        name, _, value = item.partition("=")
        given.append((name, value))
    return given


@contextmanager
def lines(keys: str | None) -> Iterator[Iterable[str]]:
    """Open the file of --keys, and yield its lines; none without it.

    Raises:
        BadParameter: the file cannot be read.
    """
    if keys is None:
        yield ()
    elif keys == "-":
        # The bytes: what is not UTF-8 is refused with the number of its line.
        yield decoded(sys.stdin.buffer, STDIN)
    else:
        try:
            file = Path(keys).open("rb")  # noqa: SIM115 - closed below
        except OSError as error:
            raise typer.BadParameter(
                f"{keys} cannot be read ({error.strerror})", param_hint="--keys"
            ) from error
        with file:
            yield decoded(file, keys)


def _rate(text: str | None, name: str) -> float | None:
    if text is None:
        return None
    try:
        return parse_rate(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=name) from error


def _lag(text: str | None, name: str) -> float | None:
    if text is None or is_lifted(text):
        return None
    value = seconds(text, name)
    # The live lane is never behind by less than nothing, so the run would wait for ever.
    if value == 0:
        raise typer.BadParameter("must be more than 0", param_hint=name)
    return value


def _time(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        return parse_past(text, SystemClock().now())
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--since") from error
