"""`vectrue dlq`: arguments and printing only; the work is in
streams/dead_letters/entries.py and streams/dead_letters/redrive.py.
"""

from collections.abc import Sequence
from typing import Annotated, Any
from uuid import UUID

import typer

from connectors.clock import SystemClock
from connectors.kafka.dead_letters import DeadLetterTopic
from connectors.kafka.offsets import KafkaOffsets
from connectors.kafka.outbox import KafkaOutbox
from connectors.postgres.session import Session
from schemas import command
from schemas.duration import parse_duration
from schemas.messages.dead_letter import DeadLetter, Entry, Selection
from schemas.rows.table import TableName
from schemas.settings.reading import Settings
from streams.cli.screen.output import Format, OutputOption, confirm, err, number, out, print_json
from streams.cli.screen.tables import Grid
from streams.common import targets as target_rules
from streams.dead_letters.entries import DeadLetters
from streams.dead_letters.outcomes import Result
from streams.dead_letters.redrive import Redrive, refusal

app = typer.Typer(
    no_args_is_help=True,
    help=(
        "What could not be handled: undecodable events (the dead-letter topic) and rows in "
        "quarantine."
    ),
)

_SHOWN_BYTES = 2_000

IdsArgument = Annotated[
    list[str] | None, typer.Argument(metavar="[ID]...", help="as `vectrue dlq list` prints them")
]
TableOption = Annotated[str | None, typer.Option("--table", "-t", help="of this table only")]
ReasonOption = Annotated[
    str | None, typer.Option(help="part of the reason, or the name of the error's class")
]
OlderOption = Annotated[
    str | None, typer.Option(metavar="2h", help="that failed last longer ago than this")
]
NewerOption = Annotated[
    str | None, typer.Option(metavar="2h", help="that failed last within this time")
]
KindOption = Annotated[str | None, typer.Option(help="event or row")]
AllOption = Annotated[
    bool, typer.Option("--all", help="everything, where no id and no filter is given")
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="only say what would be done")]


@app.command("list")
def list_(
    ctx: typer.Context,
    table: TableOption = None,
    reason: ReasonOption = None,
    older_than: OlderOption = None,
    newer_than: NewerOption = None,
    kind: KindOption = None,
    handled: Annotated[
        bool, typer.Option("--handled", help="also events that were sent again or purged")
    ] = False,
    output: OutputOption = Format.TABLE,
) -> None:
    """List undecodable events and rows in quarantine, oldest first.

    With -o json one array of objects: id, kind (event, row), table, column, key (array
    of strings, rows only), reason, error, stage, attempts, first_at, last_at,
    size_bytes (events only), state (open, redriven, purged), outcome.

    For example:

        vectrue dlq list
        vectrue dlq list --kind event --reason "not JSON" --newer-than 2h
        vectrue dlq list -o json | jq -r '.[].id'
    """
    selection = _selection((), kind, table, reason, older_than, newer_than)
    settings = ctx.obj()
    entries = _letters(settings, _session(settings)).entries(selection, handled=handled)
    if output is Format.JSON:
        print_json([entry.to_json() for entry in entries])
        return
    _print(entries, wide=output is Format.WIDE)


@app.command()
def show(
    ctx: typer.Context,
    id_: Annotated[str, typer.Argument(metavar="ID", help="as `vectrue dlq list` prints it")],
    full: Annotated[
        bool, typer.Option("--full", help="do not cut key and value at 2,000 bytes")
    ] = False,
    output: OutputOption = Format.TABLE,
) -> None:
    """Show one entry: why it failed, and of an event the key, the value and the
    headers.

    Bytes that are text are shown as text, others as hex digits after `hex:`. With -o
    json the object of `dlq list`, and for an event event_key, event_value (null where
    the event has none) and headers (array of name and value).
    """
    settings = ctx.obj()
    letters = _letters(settings, _session(settings))
    (entry,) = letters.entries(Selection(ids=(id_,)), handled=True)
    shown = entry.to_json()
    for _, letter in letters.dead_letters([entry]):
        shown |= _bytes(letter, None if full else _SHOWN_BYTES)
    if output is Format.JSON:
        print_json(shown)
        return
    for name, value in shown.items():
        for line in [f"  {n}: {v}" for n, v in value] if name == "headers" else [value]:
            if line is not None:
                out.print(f"{name}: {line}", soft_wrap=True)


@app.command()
def redrive(
    ctx: typer.Context,
    ids: IdsArgument = None,
    *,
    table: TableOption = None,
    reason: ReasonOption = None,
    older_than: OlderOption = None,
    newer_than: NewerOption = None,
    kind: KindOption = None,
    everything: AllOption = False,
    again: Annotated[
        bool, typer.Option("--again", help="also events that were sent again before")
    ] = False,
    wait: Annotated[
        str, typer.Option(metavar="30s", help="how long to follow what becomes of each")
    ] = "30s",
    no_wait: Annotated[bool, typer.Option("--no-wait", help="do not follow")] = False,
    dry_run: DryRunOption = False,
    output: OutputOption = Format.TABLE,
) -> None:
    """Send entries through once more, after what was wrong is mended, and say what
    became of each.

    Events go back to their topic as they were, if that is one that is read here; rows
    leave quarantine and go through the replay lane, unless an unfinished replay holds
    their column. An event is sent once: a second call skips it, unless --again. What
    fails again is a new entry.

    Outcomes: current, blank, gone, quarantined (the row is so now), handled (there was
    no row to look at), dead-lettered again, waiting (no worker has handled it yet), not
    sent, already redriven. While a table has two columns (vectrue migrate), the outcome
    is that of the column which is furthest from done. With -o json one array of
    objects: id, outcome, detail. Exit code 1 if one was not sent or failed again;
    waiting is no failure, since it is on its way: a script tells it by the outcome.

    For example:

        vectrue dlq redrive vectrue.public.questions/3/1234
        vectrue dlq redrive --table public.questions --dry-run
        vectrue dlq redrive --all --wait 5m
        vectrue dlq redrive --all -o json | jq -e 'all(.outcome != "waiting")'
    """
    settings = ctx.obj()
    selection = _selection(
        ids or (), kind, table, reason, older_than, newer_than, everything=everything
    )
    session = _session(settings)
    letters = _letters(settings, session)
    entries = letters.entries(selection, handled=again or bool(ids))
    if dry_run:
        results = [_forecast(settings, entry) for entry in entries]
    else:
        seconds = 0.0 if no_wait else _seconds(wait, "--wait")
        results = _redrive(settings, session, letters).run(
            entries, _announce, again=again, wait=seconds
        )
    _print_results(results, output)
    if waiting := sum(result.outcome == "waiting" for result in results):
        err.print(
            f"{number(waiting)} of {number(len(results))} are not handled yet: vectrue lag",
            soft_wrap=True,
        )
    bad = ("not sent", "dead-lettered again", "quarantined")
    raise typer.Exit(1 if any(result.outcome in bad for result in results) else 0)


@app.command()
def purge(
    ctx: typer.Context,
    ids: IdsArgument = None,
    *,
    table: TableOption = None,
    reason: ReasonOption = None,
    older_than: OlderOption = None,
    newer_than: NewerOption = None,
    kind: KindOption = None,
    everything: AllOption = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="do not ask")] = False,
    dry_run: DryRunOption = False,
    output: OutputOption = Format.TABLE,
) -> None:
    """Give entries up for good.

    Kafka can only delete the oldest records of a topic. Events are deleted as far as
    all older ones are purged too; the others are hidden until they are the oldest, or
    retention takes them. Rows leave quarantine: they count as missing or stale, and the
    next `vectrue replay run` tries them again. With -o json: deleted, hidden, rows.
    """
    settings = ctx.obj()
    letters = _letters(settings, _session(settings))
    selection = _selection(
        ids or (), kind, table, reason, older_than, newer_than, everything=everything
    )
    entries = letters.entries(selection, handled=True)
    if dry_run:
        _print_results(
            [Result(entry.id, "would be purged", entry.reason) for entry in entries], output
        )
        return
    if entries and not yes and not confirm(f"Give {len(entries)} entries up for good?"):
        raise typer.Exit(1)
    done = letters.purge(entries)
    if output is Format.JSON:
        print_json({"deleted": done.deleted, "hidden": done.hidden, "rows": done.rows})
        return
    events = f"{number(done.deleted)} events deleted, {number(done.hidden)} hidden"
    out.print(f"{events}, {number(done.rows)} rows out of quarantine", soft_wrap=True)


def _forecast(settings: Settings, entry: Entry) -> Result:
    why = refusal(settings, entry)
    return (
        Result(entry.id, "would be sent", entry.reason)
        if why is None
        else Result(entry.id, "not sent", why)
    )


def _letters(settings: Settings, session: Session) -> DeadLetters:
    clock = SystemClock()
    return DeadLetters(settings, session, DeadLetterTopic(settings, clock), clock)


def _redrive(settings: Settings, session: Session, letters: DeadLetters) -> Redrive:
    clock = SystemClock()
    targets = target_rules.resolve(settings, session)
    outbox = KafkaOutbox(settings, targets)
    return Redrive(
        settings, session, targets, letters, outbox, KafkaOffsets(settings, clock), clock
    )


def _session(settings: Settings) -> Session:
    return Session(settings.postgres.dsn, role="dlq", prefix=settings.kafka.topic_prefix)


def _announce(run: UUID) -> None:
    err.print(
        f"rows go through run {run}; interrupted, it goes on with: vectrue replay resume {run}",
        soft_wrap=True,
    )


def _selection(
    ids: Sequence[str],
    kind: str | None,
    table: str | None,
    reason: str | None,
    older: str | None,
    newer: str | None,
    *,
    everything: bool = True,
) -> Selection:
    if kind not in (None, "event", "row"):
        raise typer.BadParameter(f"{kind!r} is not one of event, row", param_hint="--kind")
    if not everything and not any((ids, kind, table, reason, older, newer)):
        raise typer.BadParameter("say which: IDs, a filter, or --all")
    name = str(TableName.parse(table)) if table else None
    given = (("--older-than", older), ("--newer-than", newer))
    ages = [None if age is None else _seconds(age, name) for name, age in given]
    return Selection(tuple(ids), kind, name, reason, *ages)


def _seconds(text: str, name: str) -> float:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=name) from error


def _bytes(letter: DeadLetter, limit: int | None) -> dict[str, Any]:
    event = letter.original or letter.letter
    headers = [(name, _text(value, limit)) for name, value in letter.letter.headers]
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
    # A character may have been cut in two at the end.
    shown = (
        part.decode(errors="ignore" if cut else "strict") if _is_text(data) else f"hex:{part.hex()}"
    )
    return shown + cut


def _is_text(data: bytes) -> bool:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return False
    return all(character.isprintable() or character in "\t\r\n" for character in text)


def _print(entries: Sequence[Entry], *, wide: bool = False) -> None:
    if not entries:
        err.print("no dead letters")
        return
    heads = ("ID", "KIND", "TABLE", "KEY", "LAST", "ATTEMPTS", "STATE", "REASON")
    table = Grid(
        *heads, last=("KIND", "ATTEMPTS", "STATE", "TABLE", "LAST"), whole=("ID",), wide=wide
    )
    for e in entries:
        at = e.last_at.strftime("%Y-%m-%dT%H:%M:%SZ") if e.last_at else "-"
        key = ",".join(e.key) if e.key else "-"
        table.add_row(
            e.id,
            e.kind,
            e.table or "-",
            key,
            at,
            number(e.attempts),
            e.state.value,
            e.reason or "-",
        )
    out.print(table)


def _print_results(results: Sequence[Result], output: Format) -> None:
    if output is Format.JSON:
        print_json([result.to_json() for result in results])
        return
    table = Grid("ID", "OUTCOME", "DETAIL", whole=("ID",))
    for result in results:
        table.add_row(result.id, result.outcome, command.completed(result.detail or ""))
    if results:
        out.print(table)
    else:
        err.print("no dead letters")
