"""What `vectrue dlq` shows: the list of entries, one entry with its bytes, outcomes."""

from collections.abc import Mapping, Sequence
from typing import Any

from schemas import command
from schemas.messages.dead_letter import DeadLetter, Entry
from streams.cli.formatting import UNKNOWN, key, number, timestamp
from streams.cli.screen.output import Format, err, out, print_json
from streams.cli.screen.tables import Grid
from streams.dead_letters.outcomes import Result

SHOWN_BYTES = 2_000
"""Bytes of a key, a value or a header that are shown without --full."""


def show_entries(entries: Sequence[Entry], *, wide: bool = False) -> None:
    """Print the list of entries."""
    if not entries:
        err.print("no dead letters")
        return
    headings = ("ID", "KIND", "TABLE", "KEY", "LAST", "ATTEMPTS", "STATE", "REASON")
    last = ("KIND", "ATTEMPTS", "STATE", "TABLE", "LAST")
    table = Grid(*headings, last=last, whole=("ID",), wide=wide)
    for entry in entries:
        table.add_row(
            entry.id,
            entry.kind,
            entry.table or UNKNOWN,
            key(entry.key),
            timestamp(entry.last_at),
            number(entry.attempts),
            entry.state.value,
            entry.reason or UNKNOWN,
        )
    out.print(table)


def show_entry(shown: Mapping[str, Any]) -> None:
    """Print what is known of an entry, a line for each field and each header."""
    for name, value in shown.items():
        if name == "headers":
            for header, text in value:
                out.print(f"headers:   {header}: {text}")
        elif value is not None:
            out.print(f"{name}: {value}")


def show_results(results: Sequence[Result], output: Format) -> None:
    """Print what became of each entry."""
    if output is Format.JSON:
        outcomes: list[dict[str, Any]] = []
        for result in results:
            outcomes.append(result.to_json())
        print_json(outcomes)
        return
    if not results:
        err.print("no dead letters")
        return
    table = Grid("ID", "OUTCOME", "DETAIL", whole=("ID",))
    for result in results:
        table.add_row(result.id, result.outcome, command.completed(result.detail or ""))
    out.print(table)


def content(letter: DeadLetter, limit: int | None) -> dict[str, Any]:
    """Return the key, the value and the headers of an event as text.

    Args:
        letter: as it lies in the dead-letter topic.
        limit: bytes that are shown of each; None for all.
    """
    event = letter.original or letter.letter
    headers: list[tuple[str, str | None]] = []
    # Kafka allows a name more than once, so they are pairs and not a dict.
    for name, value in letter.letter.headers:
        headers.append((name, _text(value, limit)))
    return {
        "event_key": _text(event.key, limit),
        "event_value": _text(event.value, limit),
        "headers": headers,
    }


def _text(data: bytes | None, limit: int | None) -> str | None:
    if data is None:
        return None
    part = data if limit is None else data[:limit]
    cut = f" ... ({len(data):,} bytes)" if len(part) < len(data) else ""
    if not _is_text(data):
        return f"hex:{part.hex()}{cut}"
    # A character may have been cut in two at the end.
    return part.decode(errors="ignore" if cut else "strict") + cut


def _is_text(data: bytes) -> bool:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return False
    return all(character.isprintable() or character in "\t\r\n" for character in text)
